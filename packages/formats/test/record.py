"""Makes what the tests of the image formats compare with: python3 record.py DATA_FOLDER

Writes small files with SimpleITK, nibabel, NumPy, tifffile, Pillow and pynrrd into files/, then reads them, and the files of other
programs that set-up fetched into DATA_FOLDER (.mdt/data), with nibabel, SimpleITK, pydicom, tifffile and Pillow, and records
voxels (as SHA-256) and places in recordings.json. Wants: pip install numpy nibabel SimpleITK pydicom pylibjpeg
pylibjpeg-libjpeg pylibjpeg-openjpeg pyjpegls tifffile imagecodecs pillow pynrrd
"""
import glob
import hashlib
import json
import os
import sys

import nibabel
import nrrd
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
files = os.path.join(here, 'files')
data = sys.argv[1]
records = {}


def sha(array):
    array = np.ascontiguousarray(array)
    return hashlib.sha256(array.astype(array.dtype.newbyteorder('<')).tobytes()).hexdigest()


def record(path, array, by, place=None, scale=(1, 0), channels=1, lossy=False):
    """`array` is [z, y, x] or [y, x], then channels where there are several; as stored."""
    array = np.asarray(array)
    base = data if path.startswith(data) else files
    key = ('data/' if base == data else 'files/') + os.path.relpath(path, base)
    size = list(array.shape[:-1] if channels > 1 else array.shape)
    entry = {'by': by, 'size': size, 'channels': channels, 'type': array.dtype.name}
    if lossy:  # decoders may differ by a grey value
        entry['every'] = max(1, array.size // 200)
        entry['values'] = array.ravel()[:: entry['every']].tolist()
    else:
        entry['sha256'] = sha(array)
    if scale != (1, 0):
        entry['scale'] = [float(s) for s in scale]
    if place is not None:
        entry.update({name: [float(v) for v in values] for name, values in place.items()})
    records[key] = entry


def itk_place(image):
    dim = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dim, dim)
    return {
        'spacing': image.GetSpacing()[::-1],
        'origin': image.GetOrigin()[::-1],
        'direction': direction[::-1, ::-1].ravel(),
    }


def by_itk(path):
    image = sitk.ReadImage(path)
    record(path, sitk.GetArrayFromImage(image), 'SimpleITK', itk_place(image), channels=image.GetNumberOfComponentsPerPixel())


def by_nibabel(path):
    image = nibabel.load(path)
    stored = np.asarray(image.dataobj.get_unscaled())
    affine = image.affine.astype(float)
    slope, inter = image.dataobj.slope, image.dataobj.inter
    array = stored.T if stored.ndim == 3 else np.moveaxis(stored.reshape(stored.shape[:3] + (-1,)).transpose(2, 1, 0, 3), 3, 3)
    steps = np.diag([-1, -1, 1]) @ affine[:3, :3]  # right to left, front to back
    spacing = np.linalg.norm(steps, axis=0)
    place = {'spacing': spacing[::-1]}
    if int(image.header['sform_code']) or int(image.header['qform_code']):
        place['origin'] = (np.diag([-1, -1, 1]) @ affine[:3, 3])[::-1]
        place['direction'] = (steps / spacing)[::-1, ::-1].ravel()
    channels = array.shape[3] if array.ndim == 4 else 1
    if array.ndim == 4 and channels == 1:
        array = array[..., 0]
    record(path, array, 'nibabel', place, (slope, inter), channels)


def by_pydicom(path):
    image = pydicom.dcmread(path)
    array = image.pixel_array
    samples = image.SamplesPerPixel
    if 'YBR' in image.PhotometricInterpretation:
        if image.file_meta.TransferSyntaxUID.is_compressed and image.file_meta.TransferSyntaxUID not in ('1.2.840.10008.1.2.5',):
            return
        array = pydicom.pixels.convert_color_space(array, image.PhotometricInterpretation, 'RGB')
    scale = (float(image.get('RescaleSlope', 1)), float(image.get('RescaleIntercept', 0)))
    lossy = image.file_meta.TransferSyntaxUID in ('1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51')
    record(path, array, 'pydicom', None, scale, samples, lossy)


def by_array(path, array, by, channels=1, lossy=False):
    record(path, array, by, None, channels=channels, lossy=lossy)


def written(name):
    return os.path.join(files, name)


def make():
    """Small files as other programs write them."""
    random = np.random.default_rng(8)
    grey = random.integers(-1000, 3000, (4, 5, 6)).astype(np.int16)
    turn = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]) @ np.diag([1, -1, -1])
    image = sitk.GetImageFromArray(grey)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-100.5, 20, 300.25))
    image.SetDirection(turn.ravel())
    for name, packed in [('itk.mha', 0), ('itk-packed.mha', 1), ('itk.mhd', 0), ('itk-packed.mhd', 1), ('itk.nrrd', 0),
                         ('itk-packed.nrrd', 1), ('itk.nii', 0), ('itk.nii.gz', 1)]:
        sitk.WriteImage(image, written(name), bool(packed))
    for kind in ['int8', 'uint8', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float32', 'float64']:
        typed = sitk.GetImageFromArray(np.abs(grey).astype(kind) if kind[0] == 'u' else (grey / 8).astype(kind))
        sitk.WriteImage(typed, written(f'itk-{kind}.mha'))
        sitk.WriteImage(typed, written(f'itk-{kind}.nrrd'))
    colours = sitk.GetImageFromArray(random.integers(0, 255, (3, 4, 5, 3)).astype(np.uint8), isVector=True)
    for name in ['itk-vector.mha', 'itk-vector.nrrd', 'itk-vector.nii']:
        sitk.WriteImage(colours, written(name))
    flat = sitk.GetImageFromArray(grey[0])
    for name in ['itk-2d.mha', 'itk-2d.nrrd']:
        sitk.WriteImage(flat, written(name))
    for name in sorted(glob.glob(written('itk*'))):
        if not name.endswith('raw') and not name.endswith('.gz') and '.nii' not in name:
            by_itk(name)
    nibabel.save(nibabel.Nifti2Image(grey.T, np.diag([-2, 3, 4, 1])), written('nibabel-2.nii'))
    big = nibabel.Nifti1Image(grey.T.astype('>i2'), np.eye(4), nibabel.Nifti1Header(endianness='>'))
    big.set_qform(nibabel.affines.from_matvec(turn @ np.diag([1, 2, 3]), [1, 2, 3]), 1)
    nibabel.save(big, written('nibabel-big-q.nii'))
    scaled = nibabel.Nifti1Image(grey.T.astype(float) * 0.37, np.eye(4))
    scaled.set_data_dtype(np.int16)
    nibabel.save(scaled, written('nibabel-scaled.nii.gz'))
    nibabel.save(nibabel.Nifti1Image(random.normal(size=(6, 5, 4, 3)).astype(np.float32), np.eye(4)), written('nibabel-series.nii.gz'))
    for name in sorted(glob.glob(written('nibabel*')) + glob.glob(written('itk*.nii*'))):
        if 'vector' not in name:
            by_nibabel(name)
    nrrd.write(written('pynrrd-text.nrrd'), grey.T, {'encoding': 'ascii', 'space': 'RAS', 'space directions': np.diag([1., 2, 3]), 'space origin': [4, 5, 6]})
    nrrd.write(written('pynrrd-big.nhdr'), grey.T.astype('>i2'), {'encoding': 'gzip', 'endian': 'big', 'spacings': [1, 2, 3]})
    by_itk(written('pynrrd-text.nrrd'))
    by_array(written('pynrrd-big.nhdr'), nrrd.read(written('pynrrd-big.nhdr'))[0].T.astype(np.int16), 'pynrrd')
    records['files/pynrrd-big.nhdr']['spacing'] = [3.0, 2.0, 1.0]
    np.save(written('numpy.npy'), grey)
    np.save(written('numpy-fortran.npy'), np.asfortranarray(grey.astype('>f8')))
    np.savez(written('numpy.npz'), grey)
    np.savez_compressed(written('numpy-packed.npz'), grey)
    for name in ['numpy.npy', 'numpy-fortran.npy']:
        by_array(written(name), np.load(written(name)).astype(np.load(written(name)).dtype.name), 'numpy')
    for name in ['numpy.npz', 'numpy-packed.npz']:
        by_array(written(name), np.load(written(name))['arr_0'], 'numpy')
    stack = random.integers(0, 60000, (4, 40, 36)).astype(np.uint16)
    smooth = np.cumsum(np.ones((4, 40, 36), np.uint16), 2).astype(np.uint16) * 97
    rgb = random.integers(0, 255, (20, 24, 3)).astype(np.uint8)
    tifffile.imwrite(written('tifffile.tif'), stack, photometric='minisblack')
    tifffile.imwrite(written('tifffile-lzw.tif'), smooth, photometric='minisblack', compression='lzw', predictor=True)
    tifffile.imwrite(written('tifffile-tiles-big.tif'), stack, photometric='minisblack', compression='zlib', tile=(16, 32), byteorder='>')
    tifffile.imwrite(written('tifffile-packbits.tif'), smooth, photometric='minisblack', compression='packbits', rowsperstrip=7)
    tifffile.imwrite(written('tifffile-rgb.tif'), rgb, photometric='rgb')
    tifffile.imwrite(written('tifffile-planes.tif'), rgb.transpose(2, 0, 1).copy(), photometric='rgb', planarconfig='separate')
    tifffile.imwrite(written('tifffile-half.tif'), random.normal(size=(8, 9)).astype(np.float16))
    Image.fromarray(rgb).save(written('pillow-lzw.tif'), compression='tiff_lzw')
    tifffile.imwrite(written('tifffile-lzw-long.tif'), np.tile(random.integers(0, 9, (200, 20)).astype(np.uint8), (1, 10)), compression='lzw')
    for name in sorted(glob.glob(written('*.tif'))):
        array = tifffile.imread(name)
        array = array.transpose(1, 2, 0) if 'planes' in name else array
        by_array(name, array.astype(np.float32) if array.dtype == np.float16 else array, 'tifffile', 3 if array.shape[-1] == 3 else 1)
    Image.fromarray(grey[0].astype(np.uint16)).save(written('pillow-16.png'))
    Image.fromarray(rgb).save(written('pillow-rgb.png'))
    Image.fromarray(np.dstack([rgb, rgb[..., :1]])).save(written('pillow-rgba.png'))
    Image.fromarray(rgb[..., 0] > 99).save(written('pillow-bits.png'))
    Image.fromarray(rgb).quantize(16).save(written('pillow-palette.png'))
    for name in sorted(glob.glob(written('*.png'))):
        opened = Image.open(name)
        array = np.asarray(opened.convert('RGB') if opened.mode == 'P' else opened)
        array = array.astype(np.uint8) if array.dtype == bool else array
        array = array.astype(np.uint16) if '16' in name else array
        by_array(name, array, 'Pillow', array.shape[2] if array.ndim == 3 else 1)
    x, y = np.meshgrid(np.arange(40), np.arange(24))
    Image.fromarray((x * 4 + y * 3).astype(np.uint8)).save(written('pillow.jpg'), quality=90)
    Image.fromarray(np.dstack([x * 6, y * 9, x + y]).astype(np.uint8)).save(written('pillow-rgb.jpg'), quality=90, progressive=True, subsampling=0)
    for name in sorted(glob.glob(written('*.jpg'))):
        array = np.asarray(Image.open(name))
        by_array(name, array, 'Pillow', 3 if array.ndim == 3 else 1, lossy=True)


def fetched():
    for name in ['example_ct.nii.gz', 'example_ct_sm.nii.gz', 'example_mr_sm.nii.gz', 'example_seg_mr.nii.gz']:
        by_nibabel(os.path.join(data, 'ct-files', name))
    for name in ['anatomical.nii', 'functional.nii', 'example4d.nii.gz', 'example_nifti2.nii.gz']:
        by_nibabel(os.path.join(data, 'nifti-files', name))
    for name in ['CTChest4.nrrd', 'Segmentation.seg.nrrd', 'SegmentationOverlapping.seg.nrrd']:
        by_itk(os.path.join(data, 'nrrd-files', name))
    for path in sorted(glob.glob(os.path.join(data, 'dicom-files', '*.dcm'))):
        try:
            by_pydicom(path)
        except Exception as error:
            print(f'{os.path.basename(path)}: {type(error).__name__} {str(error)[:100]}')
    series = os.path.join(data, 'ct-files', 'example_ct_dicom')
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(series) or sorted(glob.glob(series + '/*')))
    image = reader.Execute()
    slices = sorted((pydicom.dcmread(path) for path in glob.glob(series + '/*')), key=lambda one: one.ImagePositionPatient[2])
    stored = np.stack([one.pixel_array for one in slices])
    grey = stored * float(slices[0].RescaleSlope) + float(slices[0].RescaleIntercept)
    assert np.array_equal(grey, sitk.GetArrayFromImage(image)), 'pydicom and SimpleITK disagree'
    scale = (float(slices[0].RescaleSlope), float(slices[0].RescaleIntercept))
    record(series, stored, 'pydicom and SimpleITK', itk_place(image), scale)


os.makedirs(files, exist_ok=True)
make()
fetched()
with open(os.path.join(here, 'recordings.json'), 'w') as target:
    target.write(json.dumps(records, indent=1) + '\n')
print(len(records), 'recorded')

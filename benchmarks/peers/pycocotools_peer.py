"""COCO's twelve numbers by pycocotools; the case names the two files and the kind of annotation."""

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from serve import serve


def prepare(case):
    def read():
        truth = COCO(case["groundTruth"])
        return truth, truth.loadRes(case["results"])

    ready = None if case["fromFiles"] else read()

    def run():
        evaluation = COCOeval(*(ready or read()), case["kind"])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return f"AP {evaluation.stats[0]:.9f}"

    return run


if __name__ == "__main__":
    serve(prepare)

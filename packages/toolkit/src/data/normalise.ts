export { checkNormalisation, type Normalisation, normalise } from '@mdt/formats';

// Node's, which the predictor asks for before it uses it.
declare const setImmediate: ((callback: () => void) => void) | undefined;

/**
 * Tests of TensorFlow.js's suite that do not apply to backend `torch` in Node: full names, each with its reason.
 *
 * @type {{ test: string, reason: string }[]}
 */
export const exclusions = [
  {
    test: 'avgPool torch {} gradient x=[3,3,1] f=[3,3] s=1 p=explicit',
    reason:
      'It divides by the whole window at the border, where the forward pass divides by the part of the window inside the image, ' +
      'so that what it expects is not the derivative. packages/tfjs-torch/test/pool.test.ts checks ours by finite differences; ' +
      'upstream excludes the test for tfjs-node, too.',
  },
  {
    test: 'conv2dTranspose torch {} input=8x8x8,output=4x4x8,f=8,s=1,inDepth=8,p=same vec4',
    reason:
      'Its 8x8 input is not what a convolution of the 4x4 output it asks for would give, and half of the input is ignored by the ' +
      'numbers that it expects. TensorFlow refuses such shapes, as we do; upstream excludes the test for tfjs-node, too.',
  },
];

import type { Graph, Node } from '@mdt/onnx';

/** Several graphs in one, with nothing in common: names inside all but the first get the place of their graph in front. */
export function joinedGraph(name: string, graphs: readonly Graph[]): Graph {
  const renamed = graphs.map((graph, place) => (place === 0 ? graph : renameInside(graph, `part${place}_`)));
  return {
    name,
    nodes: renamed.flatMap(({ nodes }) => nodes),
    initializers: renamed.flatMap(({ initializers }) => initializers),
    inputs: renamed.flatMap(({ inputs }) => inputs),
    outputs: renamed.flatMap(({ outputs }) => outputs),
  };
}

function renameInside(graph: Graph, prefix: string): Graph {
  const outside = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const rename = (name: string) => (name === '' || outside.has(name) ? name : prefix + name);
  return {
    ...graph,
    nodes: graph.nodes.map(
      (node): Node => ({
        ...node,
        name: prefix + node.name,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      }),
    ),
    initializers: graph.initializers.map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
  };
}

/** The links of one producer or fetcher: one for each node, opened again when broken. */
import type { Cluster } from './cluster.ts';
import type { Link } from './link.ts';

export interface NodeLinks {
  /** The link to a node; opens one when there is none. */
  get(node: number): Promise<Link>;
  /** The link to a node if it is open now. */
  open(node: number): Link | null;
  drop(node: number): void;
}

/** All links close when the signal aborts. `requestTimeoutMs`: default that of produce requests. */
export function createNodeLinks(
  cluster: Pick<Cluster, 'connect'>,
  signal: AbortSignal,
  requestTimeoutMs?: number,
): NodeLinks {
  const links = new Map<number, Link>();
  const open = (node: number): Link | null => {
    const link = links.get(node);
    if (link?.isOpen) return link;
    link?.close();
    links.delete(node);
    return null;
  };
  return {
    open,
    get: async (node) => {
      const known = open(node);
      if (known !== null) return known;
      const link = await cluster.connect(node, signal, requestTimeoutMs);
      links.set(node, link);
      return link;
    },
    drop: (node) => {
      links.get(node)?.close();
      links.delete(node);
    },
  };
}

/**
 * The page's Content-Security-Policy: nothing is asked of anyone but the page's own server, no code is made from text but
 * WebAssembly, and workers are the page's own. `blob:` is what a reader's files become, and the script that starts the worker, so
 * that it is under this policy too.
 */
export const contentPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self' data: blob:",
  "img-src 'self' data: blob:",
  "style-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Headers with every answer: the policy, and the isolation that threads of WebAssembly need. */
export const headers: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `${contentPolicy}; frame-ancestors 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'X-DNS-Prefetch-Control': 'off',
  'Cache-Control': 'no-store',
};

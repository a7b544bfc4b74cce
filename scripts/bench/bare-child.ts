/**
 * Bare Node: says that it runs, and idles. What a process costs before it does anything.
 */
process.stdout.write('{"ready":true}\n');
setInterval(() => {}, 1 << 30);

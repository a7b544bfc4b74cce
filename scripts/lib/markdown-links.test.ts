// Shows which links and anchors are read from a Markdown page: inline, reference and picture links, anchors as a web view
// makes them, and nothing out of code. The pages are written here.
import { test } from 'tap';
import { anchorOf, readPage } from './markdown-links.js';

const targets = (text: string) => readPage(text).links.map(({ target }) => target);

test('links of every form are read, with their lines', async (t) => {
  t.same(targets('see [a](a.md) and [b](b/c.md#d "title"), ![p](p.svg)'), ['a.md', 'b/c.md#d', 'p.svg']);
  t.same(targets('[with blanks](<a b.md>)'), ['a b.md']);
  t.same(targets('[label]: docs/x.md'), ['docs/x.md']);
  t.same(targets('[`code` as text](x.md)'), ['x.md']);
  t.same(readPage('one\n\n[a](b)').links, [{ line: 3, target: 'b' }]);
});

test('code holds no links and no headings', async (t) => {
  t.same(targets('`[a](b.md)` and ``[c](d`.md)``'), []);
  const { links, anchors } = readPage('```\n# no\n[a](b)\n```\n# yes\n~~~~\n[c](d)\n~~~\n[e](f)\n~~~~\n[g](h)');
  t.same(
    links.map(({ target }) => target),
    ['h'],
  );
  t.same([...anchors], ['yes']);
});

test('anchors are those of a web view', async (t) => {
  t.equal(anchorOf('What works, and what does not (yet)'), 'what-works-and-what-does-not-yet');
  t.equal(anchorOf('Technician console 维护控制台'), 'technician-console-维护控制台');
  t.equal(anchorOf('`scripts/start` and [more](x.md)'), 'scriptsstart-and-more');
  t.equal(anchorOf('snake_case – and dash'), 'snake_case--and-dash');
  t.same([...readPage('# A\n## A\n## B ##\n<a id="here"></a>').anchors], ['a', 'a-1', 'b', 'here']);
});

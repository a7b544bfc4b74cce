/** Shows what every-place.ts says, for the sales that write the card. In a file of its own so that it runs beside the others. */
import t from 'tap';
import { cardServices, dieEverywhere } from './every-place.js';
import { placeTypes } from './places.js';

t.setTimeout(2_400_000);
t.test('the box dies at every place of sales that write the card', (t) => dieEverywhere(t, cardServices, placeTypes));

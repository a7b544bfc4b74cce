/** Shows what every-place.ts says, for all services that write no card: none is left out. */
import t from 'tap';
import type { ServiceName } from '../../terminal/core/sale.js';
import { cardServices, dieEverywhere } from './every-place.js';
import { flows } from './flows.js';
import { placeTypes } from './places.js';

const services = (Object.keys(flows) as ServiceName[]).filter((service) => !cardServices.includes(service));
const effects = placeTypes.filter((type) => type !== 'writeCard');

t.setTimeout(2_400_000);
t.test('the box dies at every place of sales that write no card', (t) => dieEverywhere(t, services, effects));

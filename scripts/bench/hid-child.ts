/**
 * The HID benches' inside, where umockdev feigns /sys and /dev: the shipped driver and the bare library, each at a scanner of its
 * own. Prints one line of JSON. Must judge nothing.
 *
 * hid-child scan <rounds> <samples> | replug <rounds>
 */
import { HIDAsync } from 'node-hid';
import { scanReport } from '../../drivers/protocols/hid-pos/hid-pos-fixtures.js';
import { FeignedInput } from '../../drivers/sim/feigned-hid.js';
import { replugs } from './replug-rounds.js';
import { inTurn } from './rounds.js';
import { scanCode, startedReporter } from './scan-reporter.js';
import { shippedDriver } from './shipped-drivers.js';
import { endWithStarter, feignedScanners, feignedScannersToml } from './under-umockdev.js';

const [what = '', rounds = '', count = ''] = process.argv.slice(2);
const openDriver = () => shippedDriver('hid-scanner', feignedScannersToml);

async function pulls() {
  const input = new FeignedInput(feignedScanners.driver);
  return replugs(Number(rounds), 'hid-scanner-1', async () => {
    await input.plug();
    return {
      driver: openDriver(),
      pullOut: () => input.pull(),
      putBack: () => input.plug(),
      close: () => input.pull(),
    };
  });
}

async function scans() {
  const served = new FeignedInput(feignedScanners.driver);
  const bare = new FeignedInput(feignedScanners.bare);
  await served.plug();
  await bare.plug();
  const report = scanReport(scanCode);
  const reporter = await startedReporter(openDriver(), 'hid-scanner-1');
  const device = await HIDAsync.open(`/dev/${feignedScanners.bare.name}`);
  let came: () => void = () => {};
  device.on('data', () => came());
  device.on('error', () => {});
  const taken = await inTurn(Number(rounds), Number(count), {
    raw: () =>
      new Promise<void>((resolve) => {
        came = resolve;
        bare.report(report);
      }),
    driver: () => reporter.code(() => served.report(report)),
  });
  await reporter.driver.stop();
  await device.close();
  await Promise.all([served.pull(), bare.pull()]);
  return taken;
}

endWithStarter();
const answer = what === 'scan' ? await scans() : await pulls();
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));

// Other people's programs.

import { spawnSync } from 'node:child_process';

const OUTPUT_BYTES_MAX = 1 << 30;

/** Something that whoever runs this can mend: told in one line. */
export class Fault extends Error {}

export function hasTool(name) {
  return spawnSync(name, ['--version']).error === undefined;
}

export function needTool(name, remedy) {
  if (!hasTool(name)) throw new Fault(`${name} is missing: ${remedy}`);
}

/** What a program writes that is fed `input`. */
export function run(program, flags, input) {
  const { error, status, stdout, stderr } = spawnSync(program, flags, {
    input,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (error) throw new Fault(`${program}: ${error.message}`);
  if (status !== 0) throw new Fault(`${program} failed: ${stderr.trim()}`);
  return stdout;
}

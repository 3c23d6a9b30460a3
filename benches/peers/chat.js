// What the peers have in common: their port, and what a chat says, in our words.

export const host = '127.0.0.1';
export const port = Number(process.argv[2]);

export const joined = (room) => ({ type: 'joined', room });
export const acknowledgement = ({ id }) => ({ type: 'ack', id });
export const message = (room, from, { id, text }) => ({ type: 'message', room, from, text, time: Date.now(), id });

// Memory is to be measured without garbage, which each engine would collect at a time of its own.
process.on('SIGUSR2', () => globalThis.gc());

// Programs whose bottleneck is known, for Node: `node targets.js NAME`. Each runs until it is ended.
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');
const worker = require('worker_threads');

function compute(milliseconds) {
  const end = performance.now() + milliseconds;
  let x = 1;
  while (performance.now() < end) for (let i = 0; i < 10000; ++i) x = (x * 1103515245 + 12345) % 2147483648;
  return x;
}

function client(milliseconds) {
  const line = net.connect(Number(process.env.PORT), '127.0.0.1', () => line.write(`${milliseconds}\n`));
  line.on('data', () => line.write(`${milliseconds}\n`));
}

const programs = {
  sequential_requests: () => client(15),
  many_requests: () => { for (let i = 0; i < 100; ++i) client(400); },
  json: () => {
    const big = Array.from({length: 50000}, (_, i) => ({id: i, name: `n${i}`}));
    const step = () => { JSON.parse(JSON.stringify(big)); setImmediate(step); };
    step();
  },
  synced_writes: () => {
    const file = fs.openSync('./scratch-node', 'w');
    fs.unlinkSync('./scratch-node');
    const block = Buffer.alloc(4096);
    for (;;) { fs.writeSync(file, block); fs.fsyncSync(file); }
  },
  timers: () => setInterval(() => {}, 25),
  key_derivation: () => {
    const next = () => crypto.pbkdf2('a', 'b', 20000, 64, 'sha512', next);
    next();
    next();
  },
  two_workers: () => {
    if (worker.isMainThread) for (let i = 0; i < 2; ++i) new worker.Worker(__filename, {argv: ['two_workers']});
    else for (;;) compute(100);
  },
  idle_server: () => http.createServer(() => {}).listen(0, '127.0.0.1'),
};
programs[process.argv[2]]();

// Socket.IO with its Redis adapter: rooms of three, an update goes to the whole room. Modules come from PEER_MODULES.
const load = require("module").createRequire(process.env.PEER_MODULES + "/");
const { createAdapter } = load("@socket.io/redis-adapter");
const { Server } = load("socket.io");
const Redis = load("ioredis");

const publisher = new Redis(process.env.REDIS_URL);
const server = require("http").createServer();
const io = new Server(server, {
  adapter: createAdapter(publisher, publisher.duplicate()),
  perMessageDeflate: false,
  pingInterval: 30000,
  pingTimeout: 30000,
});

io.on("connection", (socket) => {
  let room = null;
  socket.on("join", (name) => {
    room = name;
    socket.join(room);
    socket.emit("joined");
  });
  socket.on("update", (payload) => io.to(room).emit("update", payload));
  socket.on("beat", () => {});
});
server.listen(Number(process.env.PORT), "127.0.0.1", 4096);

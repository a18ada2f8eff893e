# One worker of workerd; its address is given by --socket-addr.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "add", worker = .add)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "add")],
);

const add :Workerd.Worker = (
  modules = [
    (name = "bench/peers/javascript/worker.js", esModule = embed "worker.js"),
    (name = "bench/functions/add.js", esModule = embed "../../functions/add.js"),
  ],
  compatibilityDate = "2026-11-01",
);

# One worker of workerd that adds; its address is given by --socket-addr.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "add", worker = .add)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "add")],
);

const add :Workerd.Worker = (
  modules = [
    (name = "bench/peers/javascript/add.js", esModule = embed "add.js"),
    (name = "bench/functions/add.js", esModule = embed "../../functions/add.js"),
  ],
  compatibilityDate = "2026-11-01",
);

# One worker of workerd that echoes; its address is given by --socket-addr.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "echo", worker = .echo)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "echo")],
);

const echo :Workerd.Worker = (
  modules = [(name = "bench/peers/javascript/echo.js", esModule = embed "echo.js")],
  compatibilityDate = "2026-11-01",
);

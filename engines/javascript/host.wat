;; The functions of the host, from the module name `env` that guests import from. QuickJS and shim.wat are merged under
;; the name `env` too, so these keep a name of their own until then.
(module
  (import "env" "log" (func $log (param i32 i32 i32)))
  (import "env" "now" (func $now (result f64)))
  (import "env" "elapsed" (func $elapsed (result f64)))
  (import "env" "random" (func $random (param i32 i32)))
  (import "env" "execution_id" (func $execution_id (param i32)))
  (import "env" "remaining" (func $remaining (result f64)))
  (import "env" "sleep" (func $sleep (param f64) (result i32)))
  (export "host_log" (func $log))
  (export "host_now" (func $now))
  (export "host_elapsed" (func $elapsed))
  (export "host_random" (func $random))
  (export "host_execution_id" (func $execution_id))
  (export "host_remaining" (func $remaining))
  (export "host_sleep" (func $sleep)))

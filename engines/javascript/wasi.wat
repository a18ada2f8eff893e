;; The functions of WASI that QuickJS's C library imports. There are no files: everything but the clock is an error.
(module
  (import "quickjs" "memory" (memory 1))
  (import "env" "clock" (func $clock (result i64)))
  (global $BADF i32 (i32.const 8))
  (func (export "clock_time_get") (param $id i32) (param $precision i64) (param $result i32) (result i32)
    (i64.store (local.get $result) (call $clock))
    (i32.const 0))
  ;; Only for the C library's own start, never for JavaScript: the buffer stays as it is.
  (func (export "random_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (global.get $BADF))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (global.get $BADF))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (global.get $BADF))
  (func (export "fd_write") (param i32 i32 i32 i32) (result i32) (global.get $BADF)))

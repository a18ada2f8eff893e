;; The calling convention `core`, written by hand: bytes in, bytes out. faas deploy examples/echo.wat --wait
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  ;; Allocate `len` bytes: return the next free address, and grow the memory when it is too small.
  (func (export "alloc") (param $len i32) (result i32)
    (local $start i32)
    (local $missing i32)
    (local.set $start (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $len)))
    (local.set $missing
      (i32.sub
        (i32.div_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 65536))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (local.get $missing)) (i32.const 0))
          (then unreachable))))
    (local.get $start))

  ;; ptr << 32 | len: the output is the input.
  (func (export "handle") (param $ptr i32) (param $len i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $ptr)) (i64.const 32))
      (i64.extend_i32_u (local.get $len)))))

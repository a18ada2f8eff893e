;; What stands between QuickJS and the host: the entry points of the engine, and the functions that QuickJS imports.
;;
;; An entry point calls the prelude's dispatcher with an operation and runs the job queue until the dispatcher returns a
;; string, the answer, or `true`: the answer is a response frame that was written before. A number asks to sleep for as
;; many milliseconds, a negative one to stop at once. A JSValue of wasm32 is an i64: the tag in the upper half, the
;; integer or pointer in the lower half (quickjs.h).
;;
;; A frame is the length of the head in 4 bytes, little-endian, the head (JSON), a NUL byte, and the body.
(module
  (import "quickjs" "memory" (memory 1))
  (import "quickjs" "malloc" (func $malloc (param i32) (result i32)))
  (import "quickjs" "free" (func $free (param i32)))
  (import "quickjs" "qjs_init" (func $init (result i32)))
  (import "quickjs" "qjs_get_runtime_ptr" (func $runtime (result i32)))
  (import "quickjs" "qjs_get_context_ptr" (func $context (result i32)))
  (import "quickjs" "qjs_set_max_stack_size" (func $set_max_stack_size (param i32)))
  (import "quickjs" "qjs_set_promise_rejection_handler" (func $track_rejections (param i32)))
  (import "quickjs" "qjs_new_host_function" (func $new_host_function (param i32 i32 i32) (result i32)))
  (import "quickjs" "qjs_get_undefined" (func $new_undefined (result i32)))
  (import "quickjs" "qjs_get_float64" (func $to_float64 (param i32) (result f64)))
  (import "quickjs" "qjs_new_number" (func $new_number (param f64) (result i32)))
  (import "quickjs" "JS_Call" (func $call (param i32 i64 i64 i32 i32) (result i64)))
  (import "quickjs" "JS_Eval2" (func $eval (param i32 i32 i32 i32) (result i64)))
  (import "quickjs" "JS_EvalFunction" (func $eval_module (param i32 i64) (result i64)))
  (import "quickjs" "JS_ExecutePendingJob" (func $execute_pending_job (param i32 i32) (result i32)))
  (import "quickjs" "JS_GetException" (func $take_exception (param i32) (result i64)))
  (import "quickjs" "JS_GetModuleNamespace" (func $module_namespace (param i32 i32) (result i64)))
  (import "quickjs" "JS_GetUint8Array" (func $bytes_of (param i32 i32 i64) (result i32)))
  (import "quickjs" "JS_ParseJSON" (func $parse_json (param i32 i32 i32 i32) (result i64)))
  (import "quickjs" "JS_RunGC" (func $collect_garbage (param i32)))
  (import "quickjs" "JS_SetGCThreshold" (func $set_gc_threshold (param i32 i32)))
  (import "quickjs" "JS_NewArrayFrom" (func $new_array (param i32 i32 i32) (result i64)))
  (import "quickjs" "JS_NewStringLen" (func $new_text (param i32 i32 i32) (result i64)))
  (import "quickjs" "JS_NewUint8ArrayCopy" (func $new_bytes (param i32 i32 i32) (result i64)))
  (import "quickjs" "JS_ThrowOutOfMemory" (func $throw_out_of_memory (param i32) (result i64)))
  (import "quickjs" "JS_ToCStringLen2" (func $to_utf8 (param i32 i32 i64 i32) (result i32)))
  (import "quickjs" "JS_FreeCString" (func $free_utf8 (param i32 i32)))
  (import "host" "host_log" (func $host_log (param i32 i32 i32)))
  (import "host" "host_now" (func $host_now (result f64)))
  (import "host" "host_elapsed" (func $host_elapsed (result f64)))
  (import "host" "host_random" (func $host_random (param i32 i32)))
  (import "host" "host_execution_id" (func $host_execution_id (param i32)))
  (import "host" "host_remaining" (func $host_remaining (result f64)))
  (import "host" "host_sleep" (func $host_sleep (param f64) (result i32)))
  (import "host" "host_secrets_size" (func $host_secrets_size (result i32)))
  (import "host" "host_secrets_read" (func $host_secrets_read (param i32)))
  (import "host" "host_request" (func $host_request (param i32 i32) (result i32)))
  (import "host" "host_response_size" (func $host_response_size (param i32) (result i32)))
  (import "host" "host_response_read" (func $host_response_read (param i32 i32)))

  ;; The state, in memory that is allocated once:
  ;;   0 i64 the dispatcher   8, 16, 24 i64 its arguments   32 i32 length of a text   36 i32 context of a job
  ;;   40 i32 1 when the image is taken: from then on the host has a clock
  ;;   44 JSEvalOptions: version, flags, file name, number of the first line
  ;;   60 an empty name   64 i32 the request's body   68 i32 its length   72 i64 the answer that is a response frame
  ;;   80, 88 i64 two values   96 i32 the request's head   100 i32 its length
  (global $state (export "state") (mut i32) (i32.const 0))
  (global $STATE_BYTES i32 (i32.const 104))

  (global $EXCEPTION_TAG i32 (i32.const 6))
  (global $UNDEFINED_TAG i32 (i32.const 3))
  (global $INT_TAG i32 (i32.const 0))
  (global $BOOL_TAG i32 (i32.const 1))
  (global $STRING_TAG i32 (i32.const -7))
  (global $ROPE_TAG i32 (i32.const -6))

  (global $EVAL_SCRIPT i32 (i32.const 0))
  (global $EVAL_STRICT_SCRIPT i32 (i32.const 8))
  (global $EVAL_MODULE_COMPILE_ONLY i32 (i32.const 33))

  ;; Operations of the dispatcher, see prelude/index.mjs.
  (global $ADOPT_SCRIPT i32 (i32.const 0))
  (global $ADOPT_MODULE i32 (i32.const 1))
  (global $HANDLE i32 (i32.const 2))
  (global $POLL i32 (i32.const 3))
  (global $REJECTION i32 (i32.const 4))
  (global $FAILURE i32 (i32.const 5))
  (global $CONFIGURE i32 (i32.const 7))
  (global $SERVE i32 (i32.const 8))

  ;; A collection costs a call more than the memory it frees; a call that allocates this much beside the image has one.
  (global $GC_THRESHOLD_BYTES i32 (i32.const 16777216))
  ;; Free memory at the end of the image, so that a call of ordinary size never grows the memory (two system calls).
  (global $HEADROOM_BYTES i32 (i32.const 262144))

  (func $tag (param $value i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get $value) (i64.const 32))))
  (func $unboxed (param $box i32) (result i64) (i64.load (local.get $box)))
  (func $boxed (param $value i64) (result i32) (local $box i32)
    (local.set $box (call $new_undefined))
    (i64.store (local.get $box) (local.get $value))
    (local.get $box))
  (func $is_text (param $value i64) (result i32)
    (i32.or (i32.eq (call $tag (local.get $value)) (global.get $STRING_TAG))
            (i32.eq (call $tag (local.get $value)) (global.get $ROPE_TAG))))
  ;; Returns the value of a JSON document that ends with a NUL byte.
  (func $parsed (param $start i32) (param $size i32) (result i64)
    (call $parse_json (call $context) (local.get $start) (local.get $size) (i32.add (global.get $state) (i32.const 60))))

  ;; ---- entry points -------------------------------------------------------------------------------------------------

  ;; Allocates `size` bytes and a NUL after them. 0: there is no memory left.
  (func $alloc (export "alloc") (param $size i32) (result i32) (local $pointer i32)
    (local.set $pointer (call $malloc (i32.add (local.get $size) (i32.const 1))))
    (if (local.get $pointer) (then
      (i32.store8 (i32.add (local.get $pointer) (local.get $size)) (i32.const 0))))
    (local.get $pointer))

  ;; When the engine is built: makes the context, and calls the function that the prelude evaluates to with the host's
  ;; functions, whose names (of one letter each) are at `names`. It returns the dispatcher.
  (func (export "boot")
    (param $source i32) (param $size i32) (param $file i32) (param $names i32) (param $stack i32) (result i64)
    (local $setup i64) (local $number i32) (local $arguments i32)
    (drop (call $init))
    (global.set $state (call $malloc (global.get $STATE_BYTES)))
    (memory.fill (global.get $state) (i32.const 0) (global.get $STATE_BYTES))
    (call $set_max_stack_size (local.get $stack))
    (call $set_gc_threshold (call $runtime) (i32.const -1))
    (local.set $setup
      (call $evaluate (local.get $source) (local.get $size) (local.get $file) (global.get $EVAL_STRICT_SCRIPT) (i32.const 1)))
    (if (i32.eq (call $tag (local.get $setup)) (global.get $EXCEPTION_TAG)) (then
      (return (call $text (call $take_exception (call $context))))))
    (local.set $arguments (call $malloc (i32.const 128)))
    (loop $next
      (i64.store (i32.add (local.get $arguments) (i32.mul (local.get $number) (i32.const 8)))
        (call $unboxed (call $new_host_function
          (i32.add (local.get $names) (local.get $number)) (i32.const 1) (i32.const 0))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $next (i32.load8_u (i32.add (local.get $names) (local.get $number)))))
    (i64.store (global.get $state) (call $call
      (call $context) (local.get $setup) (i64.const 0x3_00000000 (; undefined ;)) (local.get $number) (local.get $arguments)))
    (if (i32.eq (call $tag (i64.load (global.get $state))) (global.get $EXCEPTION_TAG)) (then
      (return (call $text (call $take_exception (call $context))))))
    (call $free (local.get $arguments))
    (call $track_rejections (i32.const 1))
    (call $collect_garbage (call $runtime))
    (call $fill_holes)
    (i64.const 0))

  ;; Allocates the free blocks between those of the prelude, so that what a function allocates lies together at the end of
  ;; the heap: each page that an image or a call writes costs a page fault.
  (func $fill_holes (local $end i32) (local $size i32) (local $pointer i32)
    (local.set $end (call $malloc (global.get $HEADROOM_BYTES)))
    (call $free (local.get $end))
    (local.set $size (i32.const 65536))
    (loop $smaller
      (loop $again
        (local.set $pointer (call $malloc (local.get $size)))
        (br_if $again (i32.lt_u (local.get $pointer) (local.get $end))))
      (call $free (local.get $pointer))
      (local.set $size (i32.sub (local.get $size)
        (select (i32.const 1024) (i32.const 8) (i32.gt_u (local.get $size) (i32.const 2048)))))
      (br_if $smaller (local.get $size))))

  ;; Before a source is loaded: its environment, as JSON.
  (func (export "configure") (param $document i32) (param $size i32)
    (i64.store offset=16 (global.get $state) (call $parsed (local.get $document) (local.get $size)))
    (drop (call $dispatch (global.get $CONFIGURE))))

  ;; When the image of a function is taken: evaluates its source, a module or a script, and answers what it exports.
  (func (export "load")
    (param $source i32) (param $size i32) (param $file i32) (param $module i32) (result i64)
    (local $value i64) (local $answer i64)
    (if (local.get $module)
      (then
        (local.set $value (call $evaluate
          (local.get $source) (local.get $size) (local.get $file) (global.get $EVAL_MODULE_COMPILE_ONLY) (i32.const 1)))
        (if (i32.eq (call $tag (local.get $value)) (global.get $EXCEPTION_TAG)) (then (return (call $failure))))
        (i64.store offset=16 (global.get $state) (call $eval_module (call $context) (local.get $value)))
        (if (i32.eq (call $tag (i64.load offset=16 (global.get $state))) (global.get $EXCEPTION_TAG)) (then
          (return (call $failure))))
        (i64.store offset=24 (global.get $state)
          (call $module_namespace (call $context) (i32.wrap_i64 (local.get $value))))
        (local.set $answer (call $run (global.get $ADOPT_MODULE))))
      (else
        ;; The first two lines are the wrapper's, so that the author's begin with 1. (0 would mean the default, 1.)
        (local.set $value (call $evaluate
          (local.get $source) (local.get $size) (local.get $file) (global.get $EVAL_SCRIPT) (i32.const -1)))
        (if (i32.eq (call $tag (local.get $value)) (global.get $EXCEPTION_TAG)) (then (return (call $failure))))
        (i64.store offset=16 (global.get $state) (local.get $value))
        (local.set $answer (call $run (global.get $ADOPT_SCRIPT)))))
    (local.get $answer))

  ;; The last step of taking an image.
  (func (export "seal")
    (call $collect_garbage (call $runtime))
    (call $set_gc_threshold (call $runtime)
      (i32.add (i32.shl (memory.size) (i32.const 16)) (global.get $GC_THRESHOLD_BYTES)))
    (call $free (call $malloc (global.get $HEADROOM_BYTES)))
    (i64.store offset=16 (global.get $state) (i64.const 0x3_00000000 (; undefined ;)))
    (i64.store offset=24 (global.get $state) (i64.const 0x3_00000000 (; undefined ;)))
    (i32.store offset=40 (global.get $state) (i32.const 1)))

  ;; A call: JSON in, and an answer out, `pointer << 32 | length`. An answer that begins with `!` is a failure. 0 says that
  ;; there was no memory for one, and -1 that the host does not let this call sleep, or make a request, on its thread.
  (func (export "handle") (param $input i32) (param $size i32) (result i64)
    (i64.store offset=16 (global.get $state) (call $parsed (local.get $input) (local.get $size)))
    (call $free (local.get $input))
    (if (i32.eq (call $tag (i64.load offset=16 (global.get $state))) (global.get $EXCEPTION_TAG)) (then
      (return (call $failure))))
    (call $run (global.get $HANDLE)))

  ;; A call of a function with the contract fetch: a request frame in, and an answer out as of `handle`, which is a `=` and
  ;; a response frame where it is no failure. The request stays where it is, and is read when it is asked for.
  (func (export "serve") (param $frame i32) (param $size i32) (result i64) (local $head i32) (local $body i32)
    (local.set $head (i32.load (local.get $frame)))
    (local.set $body (i32.sub (i32.sub (local.get $size) (local.get $head)) (i32.const 5)))
    (i32.store offset=96 (global.get $state) (i32.add (local.get $frame) (i32.const 4)))
    (i32.store offset=100 (global.get $state) (local.get $head))
    (i32.store offset=64 (global.get $state) (i32.add (i32.add (local.get $frame) (local.get $head)) (i32.const 5)))
    (i32.store offset=68 (global.get $state) (local.get $body))
    (i64.store offset=16 (global.get $state) (i64.extend_i32_u (local.get $body)))
    (call $run (global.get $SERVE)))

  ;; ---- the dispatcher -----------------------------------------------------------------------------------------------

  (func $dispatch (param $operation i32) (result i64)
    (i64.store offset=8 (global.get $state) (i64.extend_i32_u (local.get $operation)))
    (call $call (call $context) (i64.load (global.get $state)) (i64.const 0x3_00000000 (; undefined ;))
      (i32.const 3) (i32.add (global.get $state) (i32.const 8))))

  ;; Runs an operation and the job queue until there is an answer.
  (func $run (param $operation i32) (result i64) (local $value i64)
    (local.set $value (call $dispatch (local.get $operation)))
    (loop $again
      (if (i32.eq (call $tag (local.get $value)) (global.get $EXCEPTION_TAG)) (then (return (call $failure))))
      (if (call $is_text (local.get $value)) (then (return (call $text (local.get $value)))))
      (if (i32.eq (call $tag (local.get $value)) (global.get $BOOL_TAG)) (then
        (return (i64.load offset=72 (global.get $state)))))
      (if (i32.eq (call $tag (local.get $value)) (global.get $INT_TAG)) (then
        (if (i32.lt_s (i32.wrap_i64 (local.get $value)) (i32.const 0)) (then (return (i64.const -1))))
        (if (i32.eqz (call $host_sleep (f64.convert_i32_s (i32.wrap_i64 (local.get $value))))) (then
          (return (i64.const -1))))))
      (call $run_jobs)
      (local.set $value (call $dispatch (global.get $POLL)))
      (br $again))
    unreachable)

  (func $run_jobs
    (loop $next
      (br_if $next (i32.gt_s (call $execute_pending_job (call $runtime) (i32.add (global.get $state) (i32.const 36))) (i32.const 0)))))

  ;; The answer for an exception: the dispatcher's text of it, or its own text when that fails too.
  (func $failure (result i64) (local $value i64)
    (i64.store offset=16 (global.get $state) (call $take_exception (call $context)))
    (local.set $value (call $dispatch (global.get $FAILURE)))
    (if (i32.eq (call $tag (local.get $value)) (global.get $EXCEPTION_TAG)) (then
      (drop (call $take_exception (call $context)))
      (return (i64.const 0))))
    (call $text (local.get $value)))

  (func $text (param $value i64) (result i64) (local $pointer i32)
    (local.set $pointer
      (call $to_utf8 (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $value) (i32.const 0)))
    (if (i32.eqz (local.get $pointer)) (then (return (i64.const 0))))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $pointer)) (i64.const 32))
      (i64.extend_i32_u (i32.load offset=32 (global.get $state)))))

  (func $evaluate
    (param $source i32) (param $size i32) (param $file i32) (param $flags i32) (param $first_line i32) (result i64)
    (i32.store offset=44 (global.get $state) (i32.const 1))
    (i32.store offset=48 (global.get $state) (local.get $flags))
    (i32.store offset=52 (global.get $state) (local.get $file))
    (i32.store offset=56 (global.get $state) (local.get $first_line))
    (call $eval (call $context) (local.get $source) (local.get $size) (i32.add (global.get $state) (i32.const 44))))

  ;; ---- what QuickJS imports -----------------------------------------------------------------------------------------

  ;; A host function is called: `name` is its letter, `arguments` are pointers to JSValues.
  (func (export "host_call")
    (param $name i32) (param $length i32) (param $this i32) (param $count i32) (param $arguments i32) (result i32)
    (local $letter i32) (local $pointer i32)
    (local.set $letter (i32.load8_u (local.get $name)))
    ;; l: log(level, text)
    (if (i32.eq (local.get $letter) (i32.const 108)) (then
      (local.set $pointer (call $to_utf8 (call $context) (i32.add (global.get $state) (i32.const 32))
        (call $unboxed (i32.load offset=4 (local.get $arguments))) (i32.const 0)))
      (if (local.get $pointer) (then
        (call $host_log (i32.trunc_sat_f64_s (call $to_float64 (i32.load (local.get $arguments))))
          (local.get $pointer) (i32.load offset=32 (global.get $state)))
        (call $free_utf8 (call $context) (local.get $pointer))))
      (return (call $new_undefined))))
    ;; r: random(bytes), fills a Uint8Array
    (if (i32.eq (local.get $letter) (i32.const 114)) (then
      (local.set $pointer (call $bytes_of (call $context) (i32.add (global.get $state) (i32.const 32))
        (call $unboxed (i32.load (local.get $arguments)))))
      (if (local.get $pointer) (then
        (call $host_random (local.get $pointer) (i32.load offset=32 (global.get $state)))))
      (return (call $new_undefined))))
    ;; i: executionId(bytes), fills a Uint8Array of 16 bytes
    (if (i32.eq (local.get $letter) (i32.const 105)) (then
      (local.set $pointer (call $bytes_of (call $context) (i32.add (global.get $state) (i32.const 32))
        (call $unboxed (i32.load (local.get $arguments)))))
      (if (i32.eq (i32.load offset=32 (global.get $state)) (i32.const 16)) (then
        (call $host_execution_id (local.get $pointer))))
      (return (call $new_undefined))))
    ;; t: remaining(), milliseconds of the time limit
    (if (i32.eq (local.get $letter) (i32.const 116)) (then
      (return (call $new_number (call $host_remaining)))))
    ;; e: elapsed(), milliseconds since the call began
    (if (i32.eq (local.get $letter) (i32.const 101)) (then
      (return (call $new_number (call $host_elapsed)))))
    (call $boxed (call $exchange (local.get $letter) (local.get $arguments))))

  ;; The host functions that exchange texts, bytes and frames.
  (func $exchange (param $letter i32) (param $arguments i32) (result i64)
    (local $first i64) (local $pointer i32) (local $size i32) (local $value i64)
    ;; s: secrets(), the object of the function's secrets, or undefined
    (if (i32.eq (local.get $letter) (i32.const 115)) (then
      (local.set $size (call $host_secrets_size))
      (if (i32.eqz (local.get $size)) (then (return (i64.const 0x3_00000000 (; undefined ;)))))
      (local.set $pointer (call $alloc (local.get $size)))
      (if (i32.eqz (local.get $pointer)) (then (return (call $throw_out_of_memory (call $context)))))
      (call $host_secrets_read (local.get $pointer))
      (return (call $parsed (local.get $pointer) (local.get $size)))))
    (local.set $first (call $unboxed (i32.load (local.get $arguments))))
    ;; b: incoming(part), of the request that is served: the bytes of its body (0), their text (1), or its head (2)
    (if (i32.eq (local.get $letter) (i32.const 98)) (then
      (local.set $pointer (i32.load offset=64 (global.get $state)))
      (local.set $size (i32.load offset=68 (global.get $state)))
      (if (i64.eqz (local.get $first)) (then
        (return (call $new_bytes (call $context) (local.get $pointer) (local.get $size)))))
      (if (i64.eq (local.get $first) (i64.const 1)) (then
        (return (call $new_text (call $context) (local.get $pointer) (local.get $size)))))
      (return (call $parsed (i32.load offset=96 (global.get $state)) (i32.load offset=100 (global.get $state))))))
    ;; d: decode(bytes), the text of UTF-8
    (if (i32.eq (local.get $letter) (i32.const 100)) (then
      (local.set $pointer (call $bytes_of (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $first)))
      (return (call $new_text (call $context) (local.get $pointer)
        (select (i32.load offset=32 (global.get $state)) (i32.const 0) (local.get $pointer))))))
    ;; n: encode(text), its bytes in UTF-8
    (if (i32.eq (local.get $letter) (i32.const 110)) (then
      (local.set $pointer (call $to_utf8
        (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $first) (i32.const 0)))
      (if (i32.eqz (local.get $pointer)) (then (return (call $exception))))
      (local.set $value (call $new_bytes (call $context) (local.get $pointer) (i32.load offset=32 (global.get $state))))
      (call $free_utf8 (call $context) (local.get $pointer))
      (return (local.get $value))))
    ;; p: response(number), undefined while there is none, then an array of its head and its body
    (if (i32.eq (local.get $letter) (i32.const 112)) (then
      (return (call $response (i32.wrap_i64 (local.get $first))))))
    ;; q: request(head, body), the number of the request, or -1; w: answer(head, body)
    (local.set $pointer (call $frame (local.get $first) (call $unboxed (i32.load offset=4 (local.get $arguments)))))
    (if (i32.eqz (local.get $pointer)) (then (return (call $exception))))
    (local.set $size (i32.load offset=32 (global.get $state)))
    (if (i32.eq (local.get $letter) (i32.const 113)) (then
      ;; A result is an integer; so is its JSValue.
      (local.set $value (i64.extend_i32_u
        (call $host_request (i32.add (local.get $pointer) (i32.const 1)) (i32.sub (local.get $size) (i32.const 1)))))
      (call $free (local.get $pointer))
      (return (local.get $value))))
    (i64.store offset=72 (global.get $state)
      (i64.or (i64.shl (i64.extend_i32_u (local.get $pointer)) (i64.const 32)) (i64.extend_i32_u (local.get $size))))
    (i64.const 0x3_00000000 (; undefined ;)))

  (func $exception (result i64) (i64.shl (i64.extend_i32_u (global.get $EXCEPTION_TAG)) (i64.const 32)))

  (func $response (param $number i32) (result i64) (local $size i32) (local $frame i32) (local $head i32)
    (local.set $size (call $host_response_size (local.get $number)))
    (if (i32.lt_s (local.get $size) (i32.const 0)) (then (return (i64.const 0x3_00000000 (; undefined ;)))))
    (local.set $frame (call $malloc (local.get $size)))
    (if (i32.eqz (local.get $frame)) (then (return (call $throw_out_of_memory (call $context)))))
    (call $host_response_read (local.get $number) (local.get $frame))
    (local.set $head (i32.load (local.get $frame)))
    (i64.store offset=80 (global.get $state) (call $parsed (i32.add (local.get $frame) (i32.const 4)) (local.get $head)))
    (i64.store offset=88 (global.get $state) (call $new_bytes (call $context)
      (i32.add (i32.add (local.get $frame) (local.get $head)) (i32.const 5))
      (i32.sub (i32.sub (local.get $size) (local.get $head)) (i32.const 5))))
    (call $free (local.get $frame))
    (if (i32.eq (call $tag (i64.load offset=80 (global.get $state))) (global.get $EXCEPTION_TAG)) (then
      (return (call $exception))))
    (if (i32.eq (call $tag (i64.load offset=88 (global.get $state))) (global.get $EXCEPTION_TAG)) (then
      (return (call $exception))))
    (call $new_array (call $context) (i32.const 2) (i32.add (global.get $state) (i32.const 80))))

  ;; Allocates a `=` and the frame of a head, a text, and a body: a text, a Uint8Array or undefined. Returns its address,
  ;; and its size at offset 32 of the state; 0 with an exception pending.
  (func $frame (param $head i64) (param $body i64) (result i32)
    (local $head_start i32) (local $head_size i32) (local $body_start i32) (local $body_size i32) (local $is_text i32)
    (local $size i32) (local $pointer i32)
    (local.set $head_start (call $to_utf8
      (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $head) (i32.const 0)))
    (if (i32.eqz (local.get $head_start)) (then (return (i32.const 0))))
    (local.set $head_size (i32.load offset=32 (global.get $state)))
    (if (i32.ne (call $tag (local.get $body)) (global.get $UNDEFINED_TAG)) (then
      (local.set $is_text (call $is_text (local.get $body)))
      (local.set $body_start (if (result i32) (local.get $is_text)
        (then (call $to_utf8
          (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $body) (i32.const 0)))
        (else (call $bytes_of (call $context) (i32.add (global.get $state) (i32.const 32)) (local.get $body)))))
      (if (i32.eqz (local.get $body_start)) (then
        (call $free_utf8 (call $context) (local.get $head_start))
        (return (i32.const 0))))
      (local.set $body_size (i32.load offset=32 (global.get $state)))))
    (local.set $size (i32.add (i32.add (local.get $head_size) (local.get $body_size)) (i32.const 6)))
    (local.set $pointer (call $malloc (local.get $size)))
    (if (local.get $pointer)
      (then
        (i32.store8 (local.get $pointer) (i32.const 61 (; = ;)))
        (i32.store offset=1 align=1 (local.get $pointer) (local.get $head_size))
        (memory.copy (i32.add (local.get $pointer) (i32.const 5)) (local.get $head_start) (local.get $head_size))
        (i32.store8 offset=5 (i32.add (local.get $pointer) (local.get $head_size)) (i32.const 0))
        (memory.copy (i32.add (i32.add (local.get $pointer) (local.get $head_size)) (i32.const 6))
          (local.get $body_start) (local.get $body_size)))
      (else (drop (call $throw_out_of_memory (call $context)))))
    (call $free_utf8 (call $context) (local.get $head_start))
    (if (local.get $is_text) (then (call $free_utf8 (call $context) (local.get $body_start))))
    (i32.store offset=32 (global.get $state) (local.get $size))
    (local.get $pointer))

  (func (export "host_promise_rejection") (param $promise i32) (param $reason i32) (param $handled i32)
    (local $operation i64) (local $first i64) (local $second i64)
    ;; A dispatcher's call may be in progress: its arguments are put back.
    (local.set $operation (i64.load offset=8 (global.get $state)))
    (local.set $first (i64.load offset=16 (global.get $state)))
    (local.set $second (i64.load offset=24 (global.get $state)))
    (i64.store offset=16 (global.get $state) (call $unboxed (local.get $promise)))
    (i64.store offset=24 (global.get $state) (if (result i64) (local.get $handled)
      (then (i64.const 0x3_00000000 (; undefined ;)))
      (else (call $unboxed (local.get $reason)))))
    (drop (call $dispatch (i32.add (global.get $REJECTION) (i32.mul (local.get $handled) (i32.const 2)))))
    (i64.store offset=8 (global.get $state) (local.get $operation))
    (i64.store offset=16 (global.get $state) (local.get $first))
    (i64.store offset=24 (global.get $state) (local.get $second)))

  (func (export "host_get_timezone_offset") (param i32 i32) (result i32) (i32.const 0)) ;; UTC
  (func (export "host_interrupt") (result i32) (i32.const 0)) ;; the epoch ends guests
  (func (export "host_module_normalize") (param i32 i32) (result i32) (i32.const 0))
  (func (export "host_module_load") (param i32 i32) (result i32) (i32.const 0))

  ;; Nanoseconds since 1970; 0 before the image is taken, so that no time is frozen in it.
  (func (export "clock") (result i64)
    (if (result i64) (i32.eqz (global.get $state))
      (then (i64.const 0))
      (else (if (result i64) (i32.load offset=40 (global.get $state))
        (then (i64.trunc_sat_f64_u (f64.mul (call $host_now) (f64.const 1e6))))
        (else (i64.const 0))))))
)

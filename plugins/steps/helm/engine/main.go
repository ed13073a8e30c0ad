// `randInt` and `shuffle` use math/rand's global source. Without this setting, Go ignores rand.Seed.
//
//go:debug randseednop=0

// The engine renders a Helm chart with Helm's own packages, in a component without file system, network and
// environment. It exports one function that takes and returns bytes; the Rust component in front of it implements the
// renderer's interface.
package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"runtime/debug"
	"unsafe"
)

func main() {}

// Each render runs in its own short-lived instance under the host's memory limit. Collecting garbage rarely is safe
// there, and halves the time of a large chart.
func init() { debug.SetGCPercent(400) }

// kept holds references to the memory of a call's argument and result, so that Go's collector keeps it until the call
// ends. The collector does not move objects, so references are enough.
var kept [][]byte

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, _, newSize uint32) unsafe.Pointer {
	// allocates words, so that every alignment of the canonical ABI is satisfied
	words := make([]uint64, newSize/8+1)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), newSize)
	copy(memory, unsafe.Slice((*byte)(old), oldSize))
	kept = append(kept, memory)
	return unsafe.Pointer(unsafe.SliceData(memory))
}

// scratch is memory for the adapter, which has none of its own.
var scratch uint64

// refreshClock is the clock id that refreshes the adapter's cached clock. The component must not call the host while
// the host stores its arguments, but a garbage collection started by reallocate reads the clock.
const refreshClock = 100

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(id uint32, precision uint64, result unsafe.Pointer) uint32

// span is a list<u8> in the layout of the canonical ABI.
type span struct{ address, length uint32 }

var returned span

//go:wasmexport todohost:helm-engine/engine@0.0.1#call
func call(data unsafe.Pointer, length uint32) unsafe.Pointer {
	clockTimeGet(refreshClock, 0, unsafe.Pointer(&scratch))
	reply := exchange(unsafe.Slice((*byte)(data), length))
	kept = [][]byte{reply}
	returned = span{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(reply)))), uint32(len(reply))}
	return unsafe.Pointer(&returned)
}

//go:wasmexport cabi_post_todohost:helm-engine/engine@0.0.1#call
func afterCall(unsafe.Pointer) { kept = nil }

// A render runs in its own goroutine. If a template looks up an object, the current call returns with the question, and
// the next call brings the answer. So the engine needs no import for lookups.
var (
	questions = make(chan *lookupQuestion)
	answers   = make(chan *lookupAnswer)
	finished  = make(chan outgoing)
)

func exchange(message []byte) []byte {
	var in incoming
	reply := outgoing{}
	switch err := json.Unmarshal(message, &in); {
	case err != nil:
		reply.Failed = internalFailure(fmt.Sprintf("the engine's request is malformed: %v", err))
	case in.Render != nil:
		seedRandom()
		go func() { finished <- run(in.Render) }()
		reply = next()
	case in.Answer != nil:
		answers <- in.Answer
		reply = next()
	default:
		reply.Failed = internalFailure("the engine's request is empty")
	}
	encoded, err := json.Marshal(reply)
	if err != nil {
		// cannot fail: every field is a text or a number
		panic(err)
	}
	return encoded
}

func next() outgoing {
	select {
	case question := <-questions:
		return outgoing{Lookup: question}
	case end := <-finished:
		return end
	}
}

func run(request *request) (end outgoing) {
	defer func() {
		if cause := recover(); cause != nil {
			end = outgoing{Failed: internalFailure(fmt.Sprintf("the engine panicked: %v", cause), string(debug.Stack()))}
		}
	}()
	result, err := render(request)
	if err != nil {
		return outgoing{Failed: describe(err)}
	}
	return outgoing{Rendered: result}
}

// seedRandom seeds math/rand from the host's random numbers.
func seedRandom() {
	var seed [8]byte
	if _, err := crand.Read(seed[:]); err != nil {
		panic(err)
	}
	rand.Seed(int64(binary.LittleEndian.Uint64(seed[:]))) //nolint:staticcheck // the functions use the global source
}

// `randInt` and `shuffle` draw on a global source, which Go would otherwise not let us seed.
//
//go:debug randseednop=0

// The engine renders a Helm chart with Helm's own packages, inside a component without a file system, a network
// or an environment. It is one exported function, bytes in and bytes out: what the renderer's interface looks
// like is the concern of the component in front of it.
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

// A render is one instance that is thrown away, under the host's memory limit: collecting rarely is safe, and
// halves the time that a large chart takes.
func init() { debug.SetGCPercent(400) }

// kept makes what the caller allocates, and what is handed back, reachable until the call is over. Go's
// collector does not move objects, so a reference is enough.
var kept [][]byte

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, _, newSize uint32) unsafe.Pointer {
	// words, so that every alignment of the canonical ABI holds
	words := make([]uint64, newSize/8+1)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), newSize)
	copy(memory, unsafe.Slice((*byte)(old), oldSize))
	kept = append(kept, memory)
	return unsafe.Pointer(unsafe.SliceData(memory))
}

// scratch is lent to the adapter, which has no memory of its own.
var scratch uint64

// The component may not call out while its arguments are being stored, but a collection started by
// reallocate reads the clock: the adapter therefore answers from a cache, which this clock id refreshes.
const refreshClock = 100

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(id uint32, precision uint64, result unsafe.Pointer) uint32

// span is a list<u8> as the canonical ABI stores it.
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

// A render runs in a goroutine of its own. When a template asks for an object, the call that runs it returns
// with the question, and the next call brings the answer: so the engine needs no import for it.
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
		reply.Failed = internalFailure(fmt.Sprintf("the engine does not understand its request: %v", err))
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
		// every field is text or a number
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

// seedRandom gives the functions that use math/rand the host's randomness.
func seedRandom() {
	var seed [8]byte
	if _, err := crand.Read(seed[:]); err != nil {
		panic(err)
	}
	rand.Seed(int64(binary.LittleEndian.Uint64(seed[:]))) //nolint:staticcheck // the functions use the global source
}

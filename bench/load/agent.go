package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

type phase uint8

const (
	idle      phase = iota
	dialing         // no connection yet
	upgrading       // the request is sent
	greeting        // the first message is sent
	open            // the first message was answered
)

// fullStates is how often an agent repeats its full state on one connection: it must not answer for ever.
const fullStates = 3

// agent is one simulated agent; it knows nothing of sockets. All of it is guarded by mu.
type agent struct {
	mu          sync.Mutex
	number      int
	uid         [16]byte
	mask        [4]byte
	description []byte
	started     uint64
	link        link

	phase       phase
	hasSlot     bool
	sequence    uint64
	hash        []byte
	full        int
	outstanding int // messages that were not answered yet
	partial     []byte
	fragments   []byte

	dialedAt   int64 // unix nanoseconds, as all instants here
	readyAt    int64
	beatAt     int64
	arrivedAt  int64
	answeredAt int64
}

// link is the connection of an agent.
type link interface {
	write(data []byte) error
	drop()
}

func newAgent(number int) *agent {
	now := time.Now()
	a := &agent{number: number, started: uint64(now.UnixNano())}
	rand.Read(a.uid[:])
	rand.Read(a.mask[:])
	binary.BigEndian.PutUint64(a.uid[:8], uint64(now.UnixMilli())<<16|0x7000|uint64(number&0xFFF))
	a.uid[8] = a.uid[8]&0x3F | 0x80
	text := hex.EncodeToString(a.uid[:])
	a.description = description(number, text[:8]+"-"+text[8:12]+"-"+text[12:16]+"-"+text[16:20]+"-"+text[20:])
	return a
}

// counters of everything since the start.
type counters struct {
	sent, received, bad, errors, dropped, refused, failed, repeated, fullRequests, pings atomic.Int64
}

// fleet is all agents, and what is measured of them.
type fleet struct {
	counters
	host, path string
	transport  transport
	agents     []*agent
	slots      chan struct{}
	current    atomic.Pointer[[]byte]
	bodyBytes  atomic.Int64
	ready      atomic.Int64
	arrived    atomic.Int64
	answered   atomic.Int64
	beatMu     sync.Mutex
	beats      []int64 // how long answers to heartbeats took
	beatsDue   atomic.Int64
	stopping   atomic.Bool
}

// transport makes connections; `connected`, `feed` and `lost` of the fleet are called with what comes of them.
type transport interface {
	dial(a *agent)
}

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

var partials = sync.Pool{New: func() any { b := make([]byte, 0, 128<<10); return &b }}

// say sends one message that `build` appends.
func (f *fleet) say(a *agent, build func(to []byte) []byte) {
	payload := scratch.Get().(*[]byte)
	framed := scratch.Get().(*[]byte)
	*payload = build((*payload)[:0])
	*framed = putFrame((*framed)[:0], opBinary, a.mask, *payload)
	if err := a.link.write(*framed); err == nil {
		f.sent.Add(1)
		a.outstanding++
	}
	scratch.Put(payload)
	scratch.Put(framed)
}

// connected: the socket is there, and TLS is done.
func (f *fleet) connected(a *agent, l link) error {
	a.link, a.phase = l, upgrading
	return l.write(upgrade(f.host, f.path))
}

// feed takes what the server sent.
func (f *fleet) feed(a *agent, data []byte) error {
	if len(a.partial) > 0 {
		a.partial = append(a.partial, data...)
		data = a.partial
	}
	rest := data
	for len(rest) > 0 && a.link != nil {
		size, err := f.take(a, rest)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		rest = rest[size:]
	}
	f.keep(a, rest)
	return nil
}

// keep holds on to the beginning of what is not whole yet.
func (f *fleet) keep(a *agent, rest []byte) {
	if len(rest) == 0 {
		if a.partial != nil {
			held := a.partial[:0]
			partials.Put(&held)
			a.partial = nil
		}
		return
	}
	if a.partial == nil {
		a.partial = *partials.Get().(*[]byte)
	}
	a.partial = append(a.partial[:0], rest...)
}

func (f *fleet) take(a *agent, data []byte) (int, error) {
	if a.phase == upgrading {
		return f.takeUpgrade(a, data)
	}
	one, size, err := readFrame(data)
	if err != nil || size == 0 {
		return 0, err
	}
	switch one.opcode {
	case opBinary, opContinuation:
		if !one.final || one.opcode == opContinuation {
			a.fragments = append(a.fragments, one.payload...)
			if !one.final {
				break
			}
			one.payload = a.fragments
		}
		f.takeMessage(a, one.payload)
		a.fragments = nil
	case opPing:
		f.pings.Add(1)
		return size, a.link.write(putFrame(nil, opPong, a.mask, one.payload))
	case opClose:
		return size, errClosed
	case opPong:
	default:
		return 0, errFrame
	}
	return size, nil
}

func (f *fleet) takeUpgrade(a *agent, data []byte) (int, error) {
	found, size, err := readHTTP(data)
	if err != nil || size == 0 {
		return 0, err
	}
	if found.status != 101 {
		return size, refusal{found.status, found.retryAfter}
	}
	a.phase, a.full, a.outstanding, a.fragments = greeting, 0, 0, nil
	a.sequence++
	f.say(a, func(to []byte) []byte { return fullState(to, a) })
	return size, nil
}

func (f *fleet) takeMessage(a *agent, data []byte) {
	now := time.Now().UnixNano()
	f.received.Add(1)
	found, err := readAnswer(data)
	if err != nil || (len(found.uid) > 0 && !bytes.Equal(found.uid, a.uid[:])) {
		f.bad.Add(1)
		return
	}
	if found.hasError {
		f.errors.Add(1)
	}
	if a.phase == greeting {
		a.phase, a.readyAt = open, now
		f.ready.Add(1)
		f.release(a)
	}
	if found.hash != nil {
		f.takeConfig(a, found, now)
	} else if a.outstanding > 0 {
		f.takeAnswer(a, now)
	}
	if found.flags&flagReportFullState != 0 {
		f.fullRequests.Add(1)
		if a.full++; a.full <= fullStates {
			a.sequence++
			f.say(a, func(to []byte) []byte { return fullState(to, a) })
		}
	}
}

// takeConfig answers APPLYING and APPLIED, as an agent that applies at once: two messages, one after the other.
func (f *fleet) takeConfig(a *agent, found answer, now int64) {
	if bytes.Equal(found.hash, a.hash) {
		f.repeated.Add(1)
	}
	current := f.current.Load()
	if current == nil || !bytes.Equal(*current, found.hash) {
		kept := bytes.Clone(found.hash)
		current = &kept
		f.current.Store(current)
		f.bodyBytes.Store(int64(found.bodyBytes))
	}
	a.hash = *current
	a.outstanding = 0 // what was owed may have come in this message
	if a.arrivedAt == 0 {
		a.arrivedAt = now
		f.arrived.Add(1)
	}
	for _, status := range []uint64{statusApplying, statusApplied} {
		a.sequence++
		f.say(a, func(to []byte) []byte { return statusMessage(to, a.uid[:], a.sequence, a.hash, status) })
	}
}

func (f *fleet) takeAnswer(a *agent, now int64) {
	a.outstanding--
	if a.beatAt != 0 {
		f.beatMu.Lock()
		f.beats = append(f.beats, now-a.beatAt)
		f.beatMu.Unlock()
		a.beatAt = 0
		f.beatsDue.Add(-1)
	}
	if a.outstanding == 0 && a.arrivedAt != 0 && a.answeredAt == 0 {
		a.answeredAt = now
		f.answered.Add(1)
	}
}

// beat sends a heartbeat, unless one is on its way.
func (f *fleet) beat(a *agent) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase != open || a.beatAt != 0 {
		return false
	}
	a.sequence++
	a.beatAt = time.Now().UnixNano()
	f.beatsDue.Add(1)
	f.say(a, func(to []byte) []byte { return heartbeat(to, a.uid[:], a.sequence) })
	return true
}

package main

import (
	"errors"
	"fmt"
	"time"
)

var errClosed = errors.New("the server closed the connection")

// refusal is an answer to the upgrade other than 101.
type refusal struct {
	status     int
	retryAfter time.Duration
}

func (r refusal) Error() string { return fmt.Sprintf("answered %d", r.status) }

// begin dials when there is a slot; `a.mu` must not be held.
func (f *fleet) begin(a *agent) {
	f.slots <- struct{}{}
	a.mu.Lock()
	a.hasSlot, a.phase = true, dialing
	if a.dialedAt == 0 {
		a.dialedAt = time.Now().UnixNano()
	}
	a.mu.Unlock()
	f.transport.dial(a)
}

// release gives the slot back once the agent is connected, or failed.
func (f *fleet) release(a *agent) {
	if a.hasSlot {
		a.hasSlot = false
		<-f.slots
	}
}

// lost: the connection failed or ended. An agent that was on its way tries again, after what the server asked for.
func (f *fleet) lost(a *agent, err error) {
	before := a.phase
	a.phase = idle
	if a.link != nil {
		a.link.drop()
		a.link = nil
	}
	f.keep(a, nil)
	f.release(a)
	if f.stopping.Load() || before == idle {
		return
	}
	if before == open {
		f.dropped.Add(1)
		f.ready.Add(-1)
		return
	}
	wait := 100 * time.Millisecond
	var refused refusal
	if errors.As(err, &refused) {
		f.refused.Add(1)
		wait = max(refused.retryAfter, wait)
	} else {
		f.failed.Add(1)
	}
	time.AfterFunc(wait, func() { f.begin(a) })
}

// dropAll ends all connections as a crash of the agents would: without a goodbye.
func (f *fleet) dropAll() {
	for _, a := range f.agents {
		a.mu.Lock()
		if a.link != nil {
			a.link.drop()
			a.link = nil
		}
		if a.phase == open {
			f.ready.Add(-1)
		}
		a.phase = idle
		a.beatAt, a.dialedAt, a.readyAt = 0, 0, 0
		f.keep(a, nil)
		a.mu.Unlock()
	}
	f.beatsDue.Store(0)
}

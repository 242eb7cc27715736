// Load simulates thousands of OpAMP agents over WebSocket, plain or with TLS 1.3 and client certificates.
//
// Commands are JSON lines on stdin, each answered by one JSON line on stdout when it is done:
//
//	{"cmd":"connect","count":N}              until N agents are connected; "rate" per second and "concurrency" if wanted
//	{"cmd":"heartbeat","rate":R,"seconds":S} heartbeats, evenly over all agents
//	{"cmd":"arm"}                            from now on the next configuration of each agent counts
//	{"cmd":"await","timeout":S}              until each agent got one, and had its APPLIED answered
//	{"cmd":"storm"}                          all connections end without a goodbye, and all agents connect again
//	{"cmd":"stats"}                          counters since the start
//
// Instants are unix nanoseconds. An agent begins with its full state (about 350 bytes, 11 attributes), answers each
// configuration with APPLYING and APPLIED, a request for its full state at most three times a connection, and every
// ping; a 503 is tried again after its Retry-After. A new agent says that it runs the configuration that the others
// of this process were given last, as a fleet does whose server was started again.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

const look = time.Millisecond

type command struct {
	Cmd         string  `json:"cmd"`
	Count       int     `json:"count"`
	Rate        float64 `json:"rate"`
	Seconds     float64 `json:"seconds"`
	Timeout     float64 `json:"timeout"`
	Concurrency int     `json:"concurrency"`
}

type result map[string]any

func main() {
	server := flag.String("server", "", "HOST:PORT of the server")
	path := flag.String("path", "/v1/opamp", "path of the endpoint")
	ca := flag.String("ca", "", "authorities of the server's certificate, PEM; with it TLS is spoken")
	cert := flag.String("cert", "", "certificate of the agents, PEM")
	key := flag.String("key", "", "its private key, PEM")
	flag.Parse()
	if err := run(*server, *path, *ca, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(server, path, ca, cert, key string) error {
	address, err := net.ResolveTCPAddr("tcp4", server)
	if err != nil {
		return err
	}
	f := &fleet{host: server, path: path}
	if ca == "" {
		f.transport, err = newPoller(f, address)
	} else {
		f.transport, err = newTLSDialer(f, server, ca, cert, key)
	}
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		one := command{Timeout: 60, Concurrency: 256}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		answer, err := f.obey(one)
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	f.stopping.Store(true)
	return nil
}

func (f *fleet) obey(one command) (result, error) {
	switch one.Cmd {
	case "connect":
		return f.connect(one), nil
	case "heartbeat":
		return f.heartbeats(one), nil
	case "arm":
		f.arm()
		return result{"agents": len(f.agents)}, nil
	case "await":
		return f.await(one), nil
	case "storm":
		f.dropAll()
		return f.reach(f.agents, one), nil
	case "stats":
		return f.stats(), nil
	}
	return nil, fmt.Errorf("unknown command %q", one.Cmd)
}

func (f *fleet) connect(one command) result {
	before := len(f.agents)
	for number := before; number < one.Count; number++ {
		a := newAgent(number)
		if current := f.current.Load(); current != nil {
			a.hash = *current
		}
		f.agents = append(f.agents, a)
	}
	return f.reach(f.agents[before:], one)
}

// reach connects the agents, and waits until each had its first answer.
func (f *fleet) reach(agents []*agent, one command) result {
	f.slots = make(chan struct{}, one.Concurrency)
	wanted := f.ready.Load() + int64(len(agents))
	refused, failed := f.refused.Load(), f.failed.Load()
	began := time.Now()
	for number, a := range agents {
		if one.Rate > 0 {
			due := time.Duration(float64(number) / one.Rate * float64(time.Second))
			time.Sleep(due - time.Since(began))
		}
		f.begin(a)
	}
	f.wait(one.Timeout, func() bool { return f.ready.Load() >= wanted })
	var last int64
	took := make([]int64, 0, len(agents))
	for _, a := range agents {
		a.mu.Lock()
		if a.phase == open {
			took = append(took, a.readyAt-a.dialedAt)
			last = max(last, a.readyAt)
		}
		a.mu.Unlock()
	}
	found := result{
		"connected": len(took), "wanted": len(agents), "seconds": float64(last-began.UnixNano()) / 1e9,
		"refused": f.refused.Load() - refused, "failed": f.failed.Load() - failed,
	}
	return quantiles(found, took)
}

func (f *fleet) wait(seconds float64, done func() bool) {
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for !done() && time.Now().Before(deadline) {
		time.Sleep(look)
	}
}

func (f *fleet) heartbeats(one command) result {
	f.beats = f.beats[:0]
	total := int(one.Rate * one.Seconds)
	sent, busy := 0, 0
	began := time.Now()
	for sent+busy < total {
		due := min(int(time.Since(began).Seconds()*one.Rate), total)
		for sent+busy < due {
			if f.beat(f.agents[(sent+busy)%len(f.agents)]) {
				sent++
			} else {
				busy++
			}
		}
		time.Sleep(look)
	}
	f.wait(10, func() bool { return f.beatsDue.Load() <= 0 })
	f.beatMu.Lock()
	defer f.beatMu.Unlock()
	found := result{"sent": sent, "busy": busy, "answered": len(f.beats), "seconds": time.Since(began).Seconds()}
	return quantiles(found, slices.Clone(f.beats))
}

func (f *fleet) arm() {
	f.arrived.Store(0)
	f.answered.Store(0)
	for _, a := range f.agents {
		a.mu.Lock()
		a.arrivedAt, a.answeredAt = 0, 0
		a.mu.Unlock()
	}
}

func (f *fleet) await(one command) result {
	wanted := int64(len(f.agents))
	f.wait(one.Timeout, func() bool { return f.answered.Load() >= wanted })
	var arrived []int64
	var answered int64
	for _, a := range f.agents {
		a.mu.Lock()
		if a.arrivedAt != 0 {
			arrived = append(arrived, a.arrivedAt)
		}
		answered = max(answered, a.answeredAt)
		a.mu.Unlock()
	}
	found := result{
		"arrived": len(arrived), "answered": f.answered.Load(), "all_answered_at": answered,
		"body_bytes": f.bodyBytes.Load(),
	}
	return quantiles(found, arrived)
}

// quantiles adds first, P50, P99 and last, in nanoseconds.
func quantiles(to result, values []int64) result {
	if len(values) == 0 {
		return to
	}
	slices.Sort(values)
	at := func(share float64) int64 { return values[min(int(share*float64(len(values))), len(values)-1)] }
	to["first"], to["p50"], to["p99"], to["last"] = values[0], at(0.50), at(0.99), values[len(values)-1]
	return to
}

func (f *fleet) stats() result {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return result{
		"sent": f.sent.Load(), "received": f.received.Load(), "bad": f.bad.Load(), "errors": f.errors.Load(),
		"dropped": f.dropped.Load(), "refused": f.refused.Load(), "failed": f.failed.Load(),
		"repeated": f.repeated.Load(), "full_requests": f.fullRequests.Load(), "pings": f.pings.Load(),
		"cpu_seconds": float64(used.Utime.Sec+used.Stime.Sec) + float64(used.Utime.Usec+used.Stime.Usec)/1e6,
	}
}

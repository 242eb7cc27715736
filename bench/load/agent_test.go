package main

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

// recorder is a link that keeps what the agent says.
type recorder struct{ written [][]byte }

func (r *recorder) write(data []byte) error {
	r.written = append(r.written, bytes.Clone(data))
	return nil
}

func (r *recorder) drop() {}

func greeted(t *testing.T) (*fleet, *agent, *recorder) {
	t.Helper()
	f := &fleet{host: "127.0.0.1:4320", path: "/v1/opamp"}
	a, link := newAgent(7), &recorder{}
	if err := f.connected(a, link); err != nil {
		t.Fatal(err)
	}
	if err := f.feed(a, []byte(switching)); err != nil {
		t.Fatal(err)
	}
	return f, a, link
}

// served is a frame of the server with one message.
func served(fields ...[]byte) []byte {
	payload := append([]byte{0}, bytes.Join(fields, nil)...)
	if len(payload) < 126 {
		return append([]byte{0x82, byte(len(payload))}, payload...)
	}
	return append([]byte{0x82, 126, byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

func configuration(hash string, bytes int) []byte {
	object := putBytes(nil, 1, make([]byte, bytes))
	entry := putBytes(putBytes(nil, 1, []byte("collector.yaml")), 2, object)
	return putBytes(nil, 3, putBytes(putBytes(nil, 1, putBytes(nil, 1, entry)), 2, []byte(hash)))
}

func TestTheFirstMessageIsAFullStateOfAbout350Bytes(t *testing.T) {
	_, a, link := greeted(t)
	if size := len(link.written[1]); size < 330 || size > 430 {
		t.Fatalf("%d bytes", size)
	}
	if a.phase != greeting || a.outstanding != 1 || a.uid[6]>>4 != 7 {
		t.Fatal(a.phase, a.outstanding, a.uid)
	}
}

func TestAConfigurationInAnyPortionsIsAnsweredApplyingAndApplied(t *testing.T) {
	f, a, link := greeted(t)
	for _, one := range served(putBytes(nil, 1, a.uid[:]), configuration("new", 4000)) {
		if err := f.feed(a, []byte{one}); err != nil {
			t.Fatal(err)
		}
	}
	if len(link.written) != 4 || a.partial != nil || string(a.hash) != "new" || f.bodyBytes.Load() != 4000 {
		t.Fatal(len(link.written), a.partial, a.hash, f.bodyBytes.Load())
	}
	for range 2 {
		if err := f.feed(a, served(putBytes(nil, 1, a.uid[:]))); err != nil {
			t.Fatal(err)
		}
	}
	if f.answered.Load() != 1 || f.bad.Load() != 0 {
		t.Fatal(f.answered.Load(), f.bad.Load())
	}
}

func TestAServerThatAsksForTheFullStateForEverIsNotAnsweredForEver(t *testing.T) {
	f, a, link := greeted(t)
	for range 100 {
		f.feed(a, served(putBytes(nil, 1, a.uid[:]), putVarint(nil, 6, flagReportFullState)))
	}
	if len(link.written) != 2+fullStates {
		t.Fatal(len(link.written))
	}
}

func TestMessagesForOthersAndBrokenOnesAreCounted(t *testing.T) {
	f, a, _ := greeted(t)
	f.feed(a, served(putBytes(nil, 1, []byte("somebody else 16"))))
	f.feed(a, served([]byte{0x0a, 0x7f}))
	if f.bad.Load() != 2 {
		t.Fatal(f.bad.Load())
	}
}

func TestARefusalSaysWhenToComeBack(t *testing.T) {
	f := &fleet{}
	a := newAgent(1)
	f.connected(a, &recorder{})
	err := f.feed(a, []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n"))
	var refused refusal
	if !errors.As(err, &refused) || refused.status != 503 || refused.retryAfter != 7*time.Second {
		t.Fatal(err)
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

// The client's side of WebSocket, as far as OpAMP needs it: no extensions, no fragments from us.

const (
	opContinuation = 0x0
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	maxFrameBytes = 8 << 20
)

var (
	errFrame = errors.New("not a valid frame of a server")
	errHTTP  = errors.New("not a valid answer to the upgrade")
)

// putFrame appends a masked frame, which is whole and has less than 64 KiB.
func putFrame(to []byte, opcode byte, mask [4]byte, payload []byte) []byte {
	to = append(to, 0x80|opcode)
	if len(payload) < 126 {
		to = append(to, 0x80|byte(len(payload)))
	} else {
		to = append(to, 0x80|126)
		to = binary.BigEndian.AppendUint16(to, uint16(len(payload)))
	}
	to = append(to, mask[:]...)
	for i, one := range payload {
		to = append(to, one^mask[i&3])
	}
	return to
}

type frame struct {
	opcode  byte
	final   bool
	payload []byte
}

// readFrame takes one frame off data; size 0: it is not whole yet.
func readFrame(data []byte) (found frame, size int, err error) {
	if len(data) < 2 {
		return found, 0, nil
	}
	if data[0]&0x70 != 0 || data[1]&0x80 != 0 {
		return found, 0, errFrame
	}
	length, at := int(data[1]), 2
	switch length {
	case 126:
		if len(data) < 4 {
			return found, 0, nil
		}
		length, at = int(binary.BigEndian.Uint16(data[2:])), 4
	case 127:
		if len(data) < 10 {
			return found, 0, nil
		}
		large := binary.BigEndian.Uint64(data[2:])
		if large > maxFrameBytes {
			return found, 0, errFrame
		}
		length, at = int(large), 10
	}
	if len(data) < at+length {
		return found, 0, nil
	}
	return frame{data[0] & 0x0F, data[0]&0x80 != 0, data[at : at+length]}, at + length, nil
}

// upgrade is the request that opens a WebSocket; the key is not checked by us.
func upgrade(host, path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: gitsync-bench\r\n\r\n")
}

// httpAnswer is the server's answer to the upgrade.
type httpAnswer struct {
	status     int
	retryAfter time.Duration
}

// readHTTP takes the answer's head off data; size 0: it is not whole yet.
func readHTTP(data []byte) (found httpAnswer, size int, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > 16<<10 {
			return found, 0, errHTTP
		}
		return found, 0, nil
	}
	lines := bytes.Split(data[:end], []byte("\r\n"))
	if len(lines[0]) < 12 || !bytes.HasPrefix(lines[0], []byte("HTTP/1.1 ")) {
		return found, 0, errHTTP
	}
	if found.status, err = strconv.Atoi(string(lines[0][9:12])); err != nil {
		return found, 0, errHTTP
	}
	for _, line := range lines[1:] {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Retry-After")) {
			if seconds, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil {
				found.retryAfter = time.Duration(seconds) * time.Second
			}
		}
	}
	return found, end + 4, nil
}

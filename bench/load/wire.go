package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// OpAMP messages, written and read by hand: the generator must cost little next to the server that it measures.

const (
	statusApplied  = 1
	statusApplying = 2

	reportsStatus       = 0x1
	acceptsRemoteConfig = 0x2
	reportsHealth       = 0x800
	reportsRemoteConfig = 0x1000
	reportsHeartbeat    = 0x2000
	// What an agent of ours declares, and therefore does.
	capabilities = reportsStatus | acceptsRemoteConfig | reportsHealth | reportsRemoteConfig | reportsHeartbeat

	flagReportFullState = 1
)

func putBytes(to []byte, field int, value []byte) []byte {
	to = binary.AppendUvarint(to, uint64(field)<<3|2)
	to = binary.AppendUvarint(to, uint64(len(value)))
	return append(to, value...)
}

func putVarint(to []byte, field int, value uint64) []byte {
	if value == 0 {
		return to
	}
	to = binary.AppendUvarint(to, uint64(field)<<3)
	return binary.AppendUvarint(to, value)
}

func putFixed64(to []byte, field int, value uint64) []byte {
	to = binary.AppendUvarint(to, uint64(field)<<3|1)
	return binary.LittleEndian.AppendUint64(to, value)
}

func putAttribute(to []byte, field int, key, value string) []byte {
	text := putBytes(nil, 1, []byte(value))
	return putBytes(to, field, putBytes(putBytes(nil, 1, []byte(key)), 2, text))
}

// description is an AgentDescription with 11 attributes.
func description(number int, id string) []byte {
	host := fmt.Sprintf("node-%05d", number)
	var all []byte
	all = putAttribute(all, 1, "service.name", "otelcol")
	all = putAttribute(all, 1, "service.instance.id", id)
	all = putAttribute(all, 1, "service.version", "0.158.0")
	all = putAttribute(all, 2, "role", "agent")
	all = putAttribute(all, 2, "deployment.environment.name", "prod")
	all = putAttribute(all, 2, "cloud.region", regions[number%len(regions)])
	all = putAttribute(all, 2, "host.name", host)
	all = putAttribute(all, 2, "host.arch", "amd64")
	all = putAttribute(all, 2, "os.type", "linux")
	all = putAttribute(all, 2, "k8s.node", host)
	return putAttribute(all, 2, "team", "core")
}

var regions = []string{"eu-west-1", "us-east-1", "ap-south-1"}

// head is the part that every message of an agent begins with, but for the number.
func head(to []byte, uid []byte, sequence uint64) []byte {
	to = append(to, 0) // the header of OpAMP over WebSocket
	to = putBytes(to, 1, uid)
	return putVarint(to, 2, sequence)
}

func heartbeat(to []byte, uid []byte, sequence uint64) []byte {
	return putVarint(head(to, uid, sequence), 4, capabilities)
}

func configStatus(hash []byte, status uint64) []byte {
	var inner []byte
	if len(hash) > 0 {
		inner = putBytes(inner, 1, hash)
	}
	return putVarint(inner, 2, status)
}

func statusMessage(to []byte, uid []byte, sequence uint64, hash []byte, status uint64) []byte {
	return putBytes(heartbeat(to, uid, sequence), 7, configStatus(hash, status))
}

// fullState is a first message: all that the capabilities promise.
func fullState(to []byte, a *agent) []byte {
	to = putBytes(head(to, a.uid[:], a.sequence), 3, a.description)
	to = putVarint(to, 4, capabilities)
	health := putVarint(nil, 1, 1)
	health = putFixed64(health, 2, a.started)
	health = putBytes(health, 4, []byte("StatusOK"))
	health = putFixed64(health, 5, a.started)
	to = putBytes(to, 5, health)
	status := uint64(0)
	if len(a.hash) > 0 {
		status = statusApplied
	}
	return putBytes(to, 7, configStatus(a.hash, status))
}

// answer is what the generator needs of a ServerToAgent.
type answer struct {
	uid       []byte
	hash      []byte // of a remote config; nil: there is none
	bodyBytes int
	flags     uint64
	hasError  bool
}

var errMessage = errors.New("not a valid ServerToAgent")

// readAnswer checks the whole message and takes out what counts.
func readAnswer(data []byte) (answer, error) {
	var found answer
	if len(data) == 0 || data[0] != 0 {
		return found, errMessage
	}
	err := fields(data[1:], func(field int, number uint64, value []byte) error {
		switch field {
		case 1:
			found.uid = value
		case 2:
			found.hasError = true
		case 3:
			return readConfig(value, &found)
		case 6:
			found.flags = number
		}
		return nil
	})
	return found, err
}

func readConfig(data []byte, found *answer) error {
	found.hash = []byte{}
	return fields(data, func(field int, _ uint64, value []byte) error {
		switch field {
		case 1: // the map: its entries, and of each the object
			return fields(value, func(_ int, _ uint64, entry []byte) error {
				return fields(entry, func(field int, _ uint64, object []byte) error {
					if field != 2 {
						return nil
					}
					return fields(object, func(field int, _ uint64, body []byte) error {
						if field == 1 {
							found.bodyBytes += len(body)
						}
						return nil
					})
				})
			})
		case 2:
			found.hash = value
		}
		return nil
	})
}

func fields(data []byte, each func(field int, number uint64, value []byte) error) error {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 {
			return errMessage
		}
		data = data[n:]
		var number uint64
		var value []byte
		switch key & 7 {
		case 0:
			if number, n = binary.Uvarint(data); n <= 0 {
				return errMessage
			}
		case 1:
			n = 8
		case 5:
			n = 4
		case 2:
			size, width := binary.Uvarint(data)
			if width <= 0 || size > uint64(len(data)-width) {
				return errMessage
			}
			n = width + int(size)
			value = data[width:n]
		default:
			return errMessage
		}
		if n > len(data) {
			return errMessage
		}
		data = data[n:]
		if err := each(int(key>>3), number, value); err != nil {
			return err
		}
	}
	return nil
}

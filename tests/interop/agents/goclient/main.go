// Command goclient is an agent made of the OpAMP reference client library, for tests.
//
// It runs until SIGTERM, SIGINT or the end of its standard input, over WebSocket or HTTP by the scheme of
// -endpoint. Everything that happens goes to standard output as one JSON object per line; "event" says what it
// is. Standard input takes one JSON object per line; "do" says what to do (see `agent.do`). A remote
// configuration is applied unless a body holds the -reject text.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// lineBytes bounds one command.
const lineBytes = 1 << 20

var printing sync.Mutex

// fields are the values of one event.
type fields map[string]any

// emit prints one event; several goroutines of the client call it.
func emit(event string, values fields) {
	line := fields{"event": event}
	for name, value := range values {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		fail("event %s: %v", event, err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

// pairs collects a flag that is given several times, as name=value.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	p[name] = value
	return nil
}

// options are the command line.
type options struct {
	endpoint    string
	uid         uuid.UUID
	service     string
	identifying pairs
	attributes  pairs
	headers     pairs
	components  pairs
	custom      pairs
	interval    time.Duration
	ca          string
	cert        string
	key         string
	reject      string
	packages    bool
	settings    bool
	restart     bool
	requestUid  bool
	compress    bool
}

func arguments() options {
	given := options{
		identifying: pairs{}, attributes: pairs{}, headers: pairs{}, components: pairs{}, custom: pairs{},
	}
	var id string
	flag.StringVar(&given.endpoint, "endpoint", "", "URL of the server: ws, wss, http or https")
	flag.StringVar(&id, "instance-uid", "", "UUID; a new one when empty")
	flag.StringVar(&given.service, "service-name", "goclient", "identifying attribute service.name")
	flag.Var(given.identifying, "identifying", "`name=value` of a further identifying attribute")
	flag.Var(given.attributes, "attribute", "`name=value` of a non-identifying attribute")
	flag.Var(given.headers, "header", "`name=value` sent with each request")
	flag.Var(given.components, "component", "`kind/type=version` of an available component")
	flag.Var(given.custom, "custom", "custom `capability` that the agent has")
	flag.DurationVar(&given.interval, "interval", time.Second, "time between heartbeats, or polls")
	flag.StringVar(&given.ca, "ca", "", "file with the authority of a server with TLS")
	flag.StringVar(&given.cert, "cert", "", "file with the client's certificate")
	flag.StringVar(&given.key, "key", "", "file with the client's key")
	flag.StringVar(&given.reject, "reject", "", "report FAILED for a body that holds this text")
	flag.BoolVar(&given.packages, "packages", false, "accept packages")
	flag.BoolVar(&given.settings, "connection-settings", false, "accept connection settings and report on them")
	flag.BoolVar(&given.restart, "restart", false, "accept the restart command")
	flag.BoolVar(&given.requestUid, "request-uid", false, "ask for an instance uid in the first message")
	flag.BoolVar(&given.compress, "compress", false, "offer compression")
	flag.Parse()
	given.uid = uuid.Must(uuid.NewV7())
	if id != "" {
		given.uid = uuid.MustParse(id)
	}
	return given
}

// commands are the lines of standard input; closed at its end.
func commands() <-chan command {
	found := make(chan command)
	go func() {
		defer close(found)
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, lineBytes)
		for lines.Scan() {
			var one command
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				fail("not a command: %v", err)
			}
			found <- one
		}
	}()
	return found
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func main() {
	one := newAgent(arguments())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	emit("started", fields{"instance_uid": one.id()})
	if err := one.start(); err != nil {
		fail("start: %v", err)
	}
	asked := commands()
	for {
		select {
		case <-signals:
			one.stop()
			emit("stopped", nil)
			return
		case offered := <-one.offers:
			one.reconnect(offered)
		case command, more := <-asked:
			if !more {
				one.stop()
				emit("stopped", nil)
				return
			}
			if err := one.do(command); err != nil {
				emit("error", fields{"do": command.Do, "error": err.Error()})
			}
		}
	}
}

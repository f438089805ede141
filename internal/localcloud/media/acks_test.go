package media

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// Nothing ends a fragment but what follows it: neither its last byte nor silence.
func TestAFragmentIsAcknowledgedWhenItEnds(t *testing.T) {
	t.Parallel()
	known, unknown := second(epoch), unknownCluster(epoch, frames(25, 100)...)
	short := cluster(epoch, frames(3, 20)...)
	next := cluster(epoch+1000, frames(25, 20)...)
	ended := []string{ackOf("RECEIVED", epoch), ackOf("PERSISTED", epoch)}
	withNext := append(slices.Clone(ended), ackOf("BUFFERING", epoch+1000))
	for name, row := range map[string]struct {
		fragment []byte
		end      func(*put) // nil = the idle time-out
		want     []string
	}{
		"next Cluster":                   {known, func(p *put) { p.write(next) }, withNext},
		"head of the next Cluster":       {known, func(p *put) { p.write(next[:29]) }, withNext},
		"next Cluster of unknown size":   {unknown, func(p *put) { p.write(unknownCluster(epoch+1000, frames(25, 20)...)) }, withNext},
		"tag":                            {known, func(p *put) { p.write(endTag()) }, ended},
		"tag behind others":              {known, func(p *put) { p.write(archive.AppendTags(nil, "a", "1"), endTag()) }, ended},
		"tag, unknown size":              {unknown, func(p *put) { p.write(endTag()) }, ended},
		"tag, shorter than allowed":      {short, func(p *put) { p.write(endTag()) }, ended},
		"end of the body":                {known, func(p *put) { p.body.Close() }, ended},
		"end of the body, unknown size":  {unknown, func(p *put) { p.body.Close() }, ended},
		"idle time-out":                  {known, nil, ended},
		"idle time-out, unknown size":    {unknown, nil, ended},
		"idle time-out, another follows": {slices.Concat(known, next[:300]), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := Limits{IdleInterval: 20 * time.Millisecond}
			if row.end == nil {
				limits.IdleTimeout = time.Second
			}
			c := start(t, Options{Limits: limits})
			p := c.open(t)
			p.write(streamHead(), row.fragment)
			if row.want == nil { // the next has begun: silence loses it, and only it
				p.expect(slices.Concat(stored(epoch), []string{ackOf("BUFFERING", epoch+1000)}, []string{"IDLE"})...)
				if rest := p.rest(); len(rest) != 0 || p.err != nil || c.Stats("cam").Torn != 1 {
					t.Errorf("the answer continues with %v and ends with %v: %+v", rest, p.err, c.Stats("cam"))
				}
				checkFileHoldsWhatIsListed(t, c)
				return
			}
			p.expect(ackOf("BUFFERING", epoch), "IDLE", "IDLE")
			if row.end != nil {
				row.end(p)
			}
			p.expect(row.want...)
			p.body.Close()
			if row.end == nil {
				if rest := p.rest(); len(rest) != 0 || p.err != nil {
					t.Errorf("the answer continues with %v and ends with %v", rest, p.err)
				}
			}
		})
	}
}

// The duration of a fragment is known when the next begins, also where a tag has ended it before.
func TestAFragmentThatItsTagEndedMayBeTooShort(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	p := c.open(t)
	p.write(streamHead(), cluster(epoch, frames(3, 20)...), endTag(), second(epoch+400))
	want := append(stored(epoch), ackOf("ERROR", epoch)+"/MIN_FRAGMENT_DURATION_REACHED")
	if got := p.rest(); !slices.Equal(got, want) {
		t.Errorf("acknowledgements %v, want %v", got, want)
	}
	checkFileHoldsWhatIsListed(t, c)
}

// httpChunks reads the chunks of an answer, from behind its head to its end.
func httpChunks(t *testing.T, in *bufio.Reader) (list [][]byte) {
	t.Helper()
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		chunk := make([]byte, size+2) // with the line end
		if _, err := io.ReadFull(in, chunk); err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			return list
		}
		list = append(list, chunk[:size])
	}
}

func TestEveryChunkHoldsOneAcknowledgement(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	// All acknowledgements of a black hole are sent at once when it ends.
	hole := c.Faults().Inject("cam", BlackHoleAt(AfterStored).Skip(2))
	conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	body := bytes.Join([][]byte{streamHead(), second(epoch), second(epoch + 1000), second(epoch + 2000), second(epoch + 3000)}, nil)
	if _, err := io.WriteString(conn, rawPut("", body)); err != nil {
		t.Fatal(err)
	}
	if err := hole.Await(within(t), 1); err != nil {
		t.Fatal(err)
	}
	hole.Clear()
	in := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	chunks := httpChunks(t, in)
	if len(chunks) != 12 {
		t.Errorf("%d chunks, want 3 for each of 4 fragments: %q", len(chunks), chunks)
	}
	for _, chunk := range chunks {
		var a ackJSON
		if err := json.Unmarshal(chunk, &a); err != nil || a.EventType == "" || bytes.Count(chunk, []byte("\n")) != 1 {
			t.Errorf("the chunk %q is not one acknowledgement and its line end (%v)", chunk, err)
		}
	}
}

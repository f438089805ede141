package kvs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// EventType is the kind of an acknowledgement (API reference, PutMedia, Acknowledgement).
type EventType string

// The kinds. The service may add others.
const (
	Buffering EventType = "BUFFERING" // the fragment's first bytes have come
	Received  EventType = "RECEIVED"  // the whole fragment has come
	Persisted EventType = "PERSISTED" // the fragment is stored
	Error     EventType = "ERROR"     // see Ack.ErrorID
	Idle      EventType = "IDLE"      // the service waits for media
)

// Ack is one acknowledgement.
type Ack struct {
	EventType      EventType
	Timecode       int64 // ms as the fragment's cluster has it: since 1970
	HasTimecode    bool
	FragmentNumber string // decimal, up to 158 bits
	ErrorID        int    // 4000 and so on; 0 when there is none
	ErrorCode      string // its name
}

// maxAckSize bounds one acknowledgement in bytes; real ones have about 200.
const maxAckSize = 16 << 10

const (
	// ackPeriod is what maxAckBytes is for.
	ackPeriod = 10 * time.Second
	// maxAckBytes bounds what the service answers within ackPeriod, white space included: 500 acknowledgements a second. A
	// fragment has three and lasts a second at least.
	maxAckBytes = 1 << 20
)

// errAckFlood ends a session whose service never stops answering.
var errAckFlood = fmt.Errorf("the service sends more than %d bytes of acknowledgements in %v", maxAckBytes, ackPeriod)

// ackMeter bounds the rate of an answer.
type ackMeter struct {
	io.Reader
	now   func() time.Time
	since time.Time
	bytes int
}

// Read implements io.Reader.
func (m *ackMeter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if now := m.now(); now.Sub(m.since) >= ackPeriod {
		m.since, m.bytes = now, 0
	}
	if m.bytes += n; m.bytes > maxAckBytes {
		return n, errAckFlood
	}
	return n, err
}

var errAckTooLong = fmt.Errorf("an acknowledgement is longer than %d bytes", maxAckSize)

// ackReader takes a stream of JSON objects apart, wherever reads cut it.
type ackReader struct {
	src  *bufio.Reader
	text []byte
}

func newAckReader(r io.Reader) *ackReader {
	return &ackReader{src: bufio.NewReaderSize(&ackMeter{Reader: r, now: time.Now}, 2<<10)}
}

// next returns the next acknowledgement. io.EOF means that the answer ended between two.
func (r *ackReader) next() (Ack, error) {
	if err := r.frame(); err != nil {
		return Ack{}, err
	}
	return parseAck(r.text)
}

// frame reads one JSON object into text.
func (r *ackReader) frame() error {
	r.text = r.text[:0]
	depth, quoted, escaped := 0, false, false
	for {
		c, err := r.src.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && len(r.text) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if depth == 0 {
			switch c {
			case ' ', '\t', '\r', '\n':
				continue
			case '{':
			default:
				return fmt.Errorf("an acknowledgement begins with %q and not with a brace", c)
			}
		}
		if len(r.text) == maxAckSize {
			return errAckTooLong
		}
		r.text = append(r.text, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}

// text is a JSON string or number, as written: the documentation and the service differ in which
// members are which.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	if !bytes.Equal(data, []byte("null")) {
		*t = text(data)
	}
	return nil
}

// ackJSON is an acknowledgement on the wire; Acknowledgement is the form that the reference shows.
type ackJSON struct {
	EventType        text
	FragmentTimecode text
	FragmentNumber   text
	ErrorID          text
	ErrorCode        text
	Acknowledgement  *ackJSON
}

func parseAck(data []byte) (Ack, error) {
	var in ackJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return Ack{}, fmt.Errorf("an acknowledgement cannot be read: %w", err)
	}
	if in.Acknowledgement != nil {
		in = *in.Acknowledgement
	}
	a := Ack{
		EventType: EventType(awserr.Clip(string(in.EventType))), FragmentNumber: awserr.Clip(string(in.FragmentNumber)),
		ErrorCode: awserr.Clip(string(in.ErrorCode)),
	}
	if a.EventType == "" {
		return Ack{}, errors.New("an acknowledgement has no EventType")
	}
	var err error
	if in.FragmentTimecode != "" {
		if a.Timecode, err = strconv.ParseInt(string(in.FragmentTimecode), 10, 64); err != nil {
			return Ack{}, fmt.Errorf("an acknowledgement has the FragmentTimecode %q", awserr.Clip(string(in.FragmentTimecode)))
		}
		a.HasTimecode = true
	}
	if in.ErrorID != "" {
		if a.ErrorID, err = strconv.Atoi(string(in.ErrorID)); err != nil {
			return Ack{}, fmt.Errorf("an acknowledgement has the ErrorId %q", awserr.Clip(string(in.ErrorID)))
		}
	}
	return a, nil
}

package kvs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

const sample = `{"EventType":"BUFFERING","FragmentTimecode":1700000000123,"FragmentNumber":"91343852333181432392682062607"}
{"EventType":"IDLE"} {"Acknowledgement":{"EventType":"ERROR","FragmentTimecode":"7","ErrorId":4006,"ErrorCode":"INVALID_MKV_DATA",` +
	`"Fragment}{":[{"\"":"\\"}]}}
	{"EventType":"PERSISTED","FragmentTimecode":8,"FragmentNumber":9,"ErrorId":null}`

var sampleAcks = []Ack{
	{EventType: Buffering, Timecode: 1700000000123, HasTimecode: true, FragmentNumber: "91343852333181432392682062607"},
	{EventType: Idle},
	{EventType: Error, Timecode: 7, HasTimecode: true, ErrorID: 4006, ErrorCode: "INVALID_MKV_DATA"},
	{EventType: Persisted, Timecode: 8, HasTimecode: true, FragmentNumber: "9"},
}

func readAll(r io.Reader) (list []Ack, err error) {
	acks := newAckReader(r)
	for {
		a, err := acks.next()
		if err != nil {
			return list, err
		}
		list = append(list, a)
	}
}

func TestAcknowledgementsAreFoundWhereverReadsCutThem(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(sample), "byte by byte": iotest.OneByteReader(strings.NewReader(sample)),
		"with the end": iotest.DataErrReader(strings.NewReader(sample)),
	} {
		got, err := readAll(r)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want the end", name, err)
		}
		if diff := cmp.Diff(sampleAcks, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatIsNoAcknowledgementIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"hello", `{"EventType":`, `{}`, `[]`, `{"EventType":1.5e}`, `{"EventType":"PERSISTED","FragmentTimecode":"soon"}`,
		`{"EventType":"ERROR","ErrorId":"x"}`, `{"EventType":"` + strings.Repeat("x", maxAckSize) + `"}`,
	} {
		if list, err := readAll(strings.NewReader(text)); err == nil || errors.Is(err, io.EOF) || len(list) > 0 {
			t.Errorf("%.40s: got %v, %v", text, list, err)
		}
	}
}

func FuzzAcks(f *testing.F) {
	f.Add([]byte(sample))
	for _, seed := range []string{"", "{", "{}", `{"EventType":"IDLE"}`, `{"Acknowledgement":{"Acknowledgement":{"EventType":"IDLE"}}` +
		`}`, `{"EventType":"ERROR","ErrorCode":"\u0000\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, wholeErr := readAll(strings.NewReader(string(data)))
		pieces, piecesErr := readAll(iotest.HalfReader(strings.NewReader(string(data))))
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Errorf("cutting changes the acknowledgements: %s", diff)
		}
		if wholeErr == nil || (wholeErr.Error() != piecesErr.Error()) {
			t.Errorf("cutting changes the error: %v, %v", wholeErr, piecesErr)
		}
		for _, a := range whole {
			if a.EventType == "" || len(a.ErrorCode) > awserr.MaxText {
				t.Errorf("bad acknowledgement %+v", a)
			}
		}
	})
}

// endless repeats a text and counts the bytes that were read.
type endless struct {
	text string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text[(e.read+n)%len(e.text):])
	}
	e.read += n
	return n, nil
}

func TestAnEndlessAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"white space":      " \r\n\t",
		"acknowledgements": `{"EventType":"BUFFERING","FragmentTimecode":1700000000123}` + "\n",
		"idle":             `{"EventType":"IDLE"}`,
	} {
		source := &endless{text: text}
		if _, err := readAll(source); !errors.Is(err, errAckFlood) || source.read > maxAckBytes+4<<10 {
			t.Errorf("%s: %v after %d bytes", name, err, source.read)
		}
	}
}

func TestManyAcknowledgementsInTheirTimeAreRead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	meter := &ackMeter{Reader: &endless{text: sample}, now: func() time.Time { now = now.Add(ackPeriod / 900); return now }}
	buffer := make([]byte, 1<<10)
	for range 10_000 {
		if _, err := meter.Read(buffer); err != nil {
			t.Fatal(err)
		}
	}
}

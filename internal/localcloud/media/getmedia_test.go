package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// getMedia reads an answer of GetMedia to its end.
func (c *cloud) getMedia(t *testing.T, selector string) []byte {
	t.Helper()
	body := `{"StreamName":"cam","StartSelector":{` + selector + `}}`
	request, err := http.NewRequestWithContext(within(t), http.MethodPost, c.server.URL+"/getMedia", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	media, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %s: %s (%v)", answer.Status, media, err)
	}
	return media
}

const earliest = `"StartSelectorType":"EARLIEST"`

// chunk is an element below the Segment, or the head of one that has no end of its own.
type chunk struct {
	id    string // hex
	bytes []byte
}

// walk cuts an answer of GetMedia into the parts that begin with an EBML head, and these into the
// elements below the Segment. It shares no code with the packages under test.
func walk(t *testing.T, b []byte) (parts [][]chunk) {
	t.Helper()
	vint := func(b []byte) (width int, value uint64, unknown bool) {
		for width = 1; width <= 8 && b[0]&(0x80>>(width-1)) == 0; width++ {
		}
		for i, c := range b[:width] {
			if i == 0 {
				c &= 0xFF >> width
			}
			value = value<<8 | uint64(c)
		}
		return width, value, value == 1<<(7*width)-1
	}
	for len(b) > 0 {
		idWidth, _, _ := vint(b)
		sizeWidth, size, unknown := vint(b[idWidth:])
		p := chunk{id: fmt.Sprintf("%X", b[:idWidth])}
		end := idWidth + sizeWidth
		switch {
		case p.id == "18538067":
			if !unknown {
				t.Fatalf("a Segment of %d bytes", size)
			}
		case unknown && p.id == "1F43B675": // up to what stands below a Segment, or to the next head
			for !bytes.HasPrefix(b[end:], []byte{0x12, 0x54, 0xC3, 0x67}) && !bytes.HasPrefix(b[end:], []byte{0x1C, 0x53, 0xBB, 0x6B}) {
				w, _, _ := vint(b[end:])
				s, n, _ := vint(b[end+w:])
				end += w + s + int(n)
			}
		case unknown:
			t.Fatalf("an element %s of unknown size", p.id)
		default:
			end += int(size)
		}
		p.bytes, b = b[:end], b[end:]
		if p.id == "1A45DFA3" {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], p)
	}
	return parts
}

// kvsTags is a Tags element as captures of the service have it.
func kvsTags(pairs ...string) []byte {
	sized := func(id string, body ...string) string {
		all := strings.Join(body, "")
		return id + string(binary.BigEndian.AppendUint32(nil, 1<<28|uint32(len(all)))) + all
	}
	tag := ""
	for i := 0; i < len(pairs); i += 2 {
		tag += sized("\x67\xC8", sized("\x45\xA3", pairs[i]), sized("\x44\x87", pairs[i+1]))
	}
	return []byte(sized("\x12\x54\xC3\x67", sized("\x73\x73", tag)))
}

// sentFragment is a fragment of a producer in these tests, cut as GetMedia returns it.
type sentFragment struct {
	head                []byte // in front of the first fragment's; expected of each
	lead, cluster, tail []byte
}

// sentSession is a PutMedia session: what is sent is first, then lead, cluster and tail of each fragment.
type sentSession struct {
	first     []byte // everything before the first Cluster
	relative  bool
	fragments []sentFragment
}

func (s sentSession) send(t *testing.T, c *cloud) {
	t.Helper()
	p := c.open(t, func(h http.Header) {
		if s.relative {
			h.Set(headerTimecodes, "RELATIVE")
			h.Set(headerStart, "1700000100.250")
		}
	})
	p.write(s.first)
	for _, f := range s.fragments {
		p.write(f.lead, f.cluster, f.tail)
	}
	p.body.Close()
	for _, a := range p.rest() {
		if strings.HasPrefix(a, "ERROR") {
			t.Fatalf("the session got %s", a)
		}
	}
}

// expected is what GetMedia must return of all sessions, byte by byte.
func expected(c *cloud, sessions []sentSession, now time.Time) (parts [][]byte) {
	stored := c.Fragments("cam")
	for _, s := range sessions {
		for _, f := range s.fragments {
			kvs := stored[0]
			stored = stored[1:]
			parts = append(parts, bytes.Join([][]byte{
				f.head,
				kvsTags("AWS_KINESISVIDEO_FRAGMENT_NUMBER", kvs.Number,
					"AWS_KINESISVIDEO_SERVER_TIMESTAMP", fmt.Sprintf("%.3f", float64(kvs.Server.UnixMilli())/1000),
					"AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", fmt.Sprintf("%.3f", float64(kvs.Producer.UnixMilli())/1000)),
				f.lead, f.cluster, f.tail,
				kvsTags("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", fmt.Sprint(now.UnixMilli()-kvs.Server.UnixMilli()),
					"AWS_KINESISVIDEO_CONTINUATION_TOKEN", kvs.Number),
			}, nil))
		}
	}
	return parts
}

// otherAVCC is avcC with another last byte.
func otherAVCC(last byte) []byte { return append(bytes.Clone(avcC[:len(avcC)-1]), last) }

// headOf is a producer's head with more elements before Info and behind Tracks.
func headOf(early, late []byte) []byte {
	head := streamHead()
	info := bytes.Index(head, []byte{0x15, 0x49, 0xA9, 0x66})
	return slices.Concat(head[:info], early, head[info:], late)
}

func TestGetMediaReturnsWhatWasSent(t *testing.T) {
	t.Parallel()
	plain := streamHead()
	tags := func(name string) []byte {
		return elem(0x1254C367, elem(0x7373, elem(0x67C8, elem(0x45A3, []byte(name)))))
	}
	seek := slices.Concat(elem(0x114D9B74, elem(0x4DBB, elem(0x53AB, []byte{0x15, 0x49, 0xA9, 0x66}))), elem(0xEC, make([]byte, 100)))
	cues := elem(0x1C53BB6B, make([]byte, 30))
	finished := bytes.Clone(plain) // as a file whose size its writer knew
	size := bytes.Index(finished, []byte{0x18, 0x53, 0x80, 0x67}) + 4
	unknown := func(at int64) []byte { return unknownCluster(at, frames(25, 30)...) }
	small := func(at int64) []byte { return cluster(at, frames(25, 30)...) }
	binary.BigEndian.PutUint64(finished[size:], 1<<56|uint64(len(finished[size+8:])+len(small(epoch))))
	checked := cluster(2000, slices.Concat([][]byte{elem(0xAB, []byte{9}), elem(0xA7, []byte{0})}, frames(25, 30))...)
	other := bytes.Replace(plain, elem(0x5741, []byte("t")), elem(0x5741, []byte("u")), 1)
	for name, sessions := range map[string][]sentSession{
		"absolute": {{plain, false, []sentFragment{
			{plain, nil, small(epoch), nil}, {plain, nil, second(epoch + 1000), nil}, {plain, nil, small(epoch + 2000), nil},
		}}},
		"unknown sizes": {{plain, false, []sentFragment{
			{plain, nil, unknown(epoch), tags("a")}, {plain, nil, unknown(epoch + 1000), nil}, {plain, nil, small(epoch + 2000), nil},
		}}},
		"relative": {{plain, true, []sentFragment{
			{plain, nil, small(0), tags("a")}, {plain, nil, unknown(1000), endTag()}, {plain, nil, checked, nil},
		}}},
		"head of a file": {{finished, false, []sentFragment{{plain, nil, small(epoch), nil}}}},
		"SeekHead, Void and Tags in the head": {{headOf(seek, tags("h")), false, []sentFragment{
			{headOf(seek, tags("h")), nil, small(epoch), nil}, {headOf(seek, tags("h")), nil, small(epoch + 1000), nil},
		}}},
		"Tags before Tracks are the first fragment's": {{headOf(slices.Concat(tags("x"), tags("y")), tags("h")), false, []sentFragment{
			{headOf(slices.Concat(tags("x"), tags("y")), tags("h")), nil, small(epoch), tags("b")},
			{headOf(nil, tags("h")), nil, small(epoch + 1000), nil},
		}}},
		"tags behind the end of a fragment": {{plain, false, []sentFragment{
			{plain, nil, small(epoch), slices.Concat(tags("a"), endTag())}, {plain, tags("late"), small(epoch + 1000), tags("c")},
		}}},
		"Cues behind": {{plain, false, []sentFragment{
			{plain, nil, small(epoch), slices.Concat(cues, tags("a"))}, {plain, nil, unknown(epoch + 1000), cues},
		}}},
		"two heads": {
			{plain, false, []sentFragment{{plain, nil, small(epoch), nil}}},
			{other, true, []sentFragment{{other, nil, small(0), nil}, {other, nil, small(1000), nil}}},
			{streamHead(video(1, otherAVCC(7))), false, []sentFragment{{streamHead(video(1, otherAVCC(7))), nil, small(epoch), nil}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, sessions)
		})
	}
}

// roundTrip sends the sessions, and compares the answer of GetMedia.
func roundTrip(t *testing.T, sessions []sentSession) {
	t.Helper()
	var now atomic.Int64
	now.Store(epoch + 77)
	o := Options{Dir: t.TempDir(), Limits: Limits{GetMediaIdle: time.Millisecond}}
	o.Now = func() time.Time { return time.UnixMilli(now.Load()) }
	c := start(t, o)
	for _, s := range sessions {
		s.send(t, c)
	}
	now.Add(1234)
	for range 2 { // the second time after a restart
		compareParts(t, c.getMedia(t, earliest), expected(c, sessions, time.UnixMilli(now.Load())))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = start(t, o)
	}
	checkFileHoldsWhatIsListed(t, c)
}

func compareParts(t *testing.T, got []byte, want [][]byte) {
	t.Helper()
	parts := walk(t, got)
	if len(parts) != len(want) {
		t.Fatalf("%d parts with an EBML head, want %d", len(parts), len(want))
	}
	for i, part := range parts {
		joined := []byte(nil)
		ids := []string{}
		for _, p := range part {
			joined, ids = append(joined, p.bytes...), append(ids, p.id)
		}
		if !bytes.Equal(joined, want[i]) {
			t.Errorf("fragment %d is %q\n%q, want\n%q", i, ids, joined, want[i])
		}
	}
}

// A consumer that connects before the fragment gets it when it has ended, with its tags.
func TestGetMediaFollowsTheStream(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Limits: Limits{GetMediaIdle: 100 * time.Millisecond}})
	p := c.open(t)
	p.write(streamHead(), second(epoch))
	p.expect(ackOf("BUFFERING", epoch))
	answer := make(chan []byte)
	go func() { answer <- c.getMedia(t, earliest) }()
	p.write(archive.AppendTags(nil, "a", "1"), endTag())
	p.expect(stored(epoch)[1:]...)
	p.write(second(epoch + 1000))
	p.body.Close()
	p.rest()
	parts := walk(t, <-answer)
	if len(parts) != 2 {
		t.Fatalf("%d fragments, want 2", len(parts))
	}
	if tail := parts[0][6:8]; !bytes.Equal(tail[0].bytes, archive.AppendTags(nil, "a", "1")) || !bytes.Equal(tail[1].bytes, endTag()) {
		t.Errorf("behind the first Cluster stands %q", tail)
	}
}

// A directory that the version before wrote is opened, served and continued. testdata/before-heads
// was made with the code of commit 966c32a.
func TestADirectoryWithoutHeadsIsServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "before-heads"))); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{Dir: dir, Limits: Limits{GetMediaIdle: time.Millisecond}})
	if got, want := tagsOf(c), []string{"a=ü b=", "c=3", "", "", "d=4"}; !slices.Equal(got, want) {
		t.Errorf("the fragments have %q, want %q", got, want)
	}
	p := c.open(t)
	p.write(streamHead(video(1, otherAVCC(avcC[len(avcC)-1]+1))), second(epoch+30_000), archive.AppendTags(nil, "e", "5"))
	p.body.Close()
	p.rest()
	list := c.Fragments("cam")
	if len(list) != 6 || list[5].File != "cam-2.mkv" {
		t.Fatalf("stored %+v", list)
	}
	checkFileHoldsWhatIsListed(t, c)
	tails := [][]byte{
		archive.AppendTags(nil, "a", "ü", "b", ""), archive.AppendTags(nil, "c", "3"), nil, nil,
		archive.AppendTags(nil, "d", "4"), archive.AppendTags(nil, "e", "5"),
	}
	parts := walk(t, c.getMedia(t, earliest))
	if len(parts) != 6 {
		t.Fatalf("%d fragments, want 6", len(parts))
	}
	for i, f := range list {
		file, err := os.ReadFile(filepath.Join(dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		part := parts[i] // EBML, Segment, Info, Tracks, Tags, Cluster, Tags of the producer, Tags
		if !bytes.Equal(part[5].bytes, file[f.Offset:f.Offset+f.Bytes]) {
			t.Errorf("the Cluster of fragment %d is not as it is stored", i)
		}
		if len(part) != 7+min(1, len(tails[i])) || tails[i] != nil && !bytes.Equal(part[6].bytes, tails[i]) {
			t.Errorf("fragment %d has %d elements, with %q behind the Cluster", i, len(part), part[6].bytes)
		}
	}
}

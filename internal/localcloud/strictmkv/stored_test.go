package strictmkv

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var goodAVCC = []byte{
	1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1,
	0, 8, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF,
	1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
}

// parts of a stream with one track and one Cluster; each row of a test changes one.
type parts struct {
	docType     string
	readVersion byte
	duration    []byte // Duration in Info; nil = none
	trackType   byte
	codec       string
	private     []byte // nil = no CodecPrivate
	settings    []byte // Video or Audio
	more        []byte // further elements of the TrackEntry
	block       []byte // element
	behind      []byte // elements behind the Cluster
}

func goodParts() parts {
	return parts{
		docType: "matroska", readVersion: 2, trackType: TypeVideo, codec: CodecAVC, private: goodAVCC,
		settings: elem(idVideo, elem(idPixelWidth, []byte{64}), elem(idPixelHeight, []byte{48})),
		block:    elem(idSimpleBlock, []byte{0x81, 0, 0, 0x80, 0, 0, 0, 2, 0x65, 1}),
	}
}

func (p parts) bytes() []byte {
	private := []byte(nil)
	if p.private != nil {
		private = elem(idCodecPrivate, p.private)
	}
	duration := []byte(nil)
	if p.duration != nil {
		duration = elem(idDuration, p.duration)
	}
	return bytes.Join([][]byte{
		elem(idEBML, elem(idDocType, []byte(p.docType)), elem(idDocTypeVersion, []byte{4}), elem(idDocTypeReadVer, []byte{p.readVersion})),
		{0x18, 0x53, 0x80, 0x67, 0xFF},
		elem(idInfo, elem(idTimestampScale, []byte{0x0F, 0x42, 0x40}), duration),
		elem(idTracks, elem(idTrackEntry, elem(idTrackNumber, []byte{1}), elem(idTrackUID, []byte{1}), elem(idTrackType, []byte{p.trackType}),
			elem(idCodecID, []byte(p.codec)), private, p.settings, p.more)),
		elem(idCluster, elem(idTimestamp, []byte{0}), p.block),
		p.behind,
	}, nil)
}

func readAll(stream []byte, o Options) (tags []Tag, err error) {
	r := NewReader(bytes.NewReader(stream), o)
	for {
		event, err := r.Next()
		if errors.Is(err, io.EOF) {
			return tags, nil
		}
		if err != nil {
			return tags, err
		}
		tags = append(tags, event.Tags...)
	}
}

func audio(p *parts) {
	p.trackType, p.codec, p.private = TypeAudio, CodecAAC, []byte{0x14, 0x08}
	p.settings = elem(idAudio, elem(idSamplingFrequency, []byte{0x46, 0xFA, 0, 0}), elem(idChannels, []byte{1}))
	p.block = elem(idSimpleBlock, []byte{0x81, 0, 0, 0x80, 1, 2, 3})
}

func withFirstByte(b []byte, at int, value byte) []byte {
	b = bytes.Clone(b)
	b[at] = value
	return b
}

// always is what stays refused however media is judged.
const always = "always: "

var notANumber = []byte{0x7F, 0xC0, 0, 0}

// judged are streams with one thing changed, and the error that they get.
var judged = map[string]struct {
	check  string // row of the table in the package comment; "" = none
	change func(*parts)
	rule   string // part of the error; begins with always if AsStored has it too
}{
	"nothing":      {"", func(*parts) {}, ""},
	"DocType webm": {`DocType is "matroska"`, func(p *parts) { p.docType = "webm" }, `DocType at byte 12: is "webm"`},
	"DocType avi":  {"", func(p *parts) { p.docType = "avi" }, always + `is "avi"`},
	"DocTypeReadVersion 0": {
		`DocTypeReadVersion lies in 1…DocTypeVersion`,
		func(p *parts) { p.readVersion = 0 }, "it must lie in 1…DocTypeVersion",
	},
	"DocTypeReadVersion 5":  {"", func(p *parts) { p.readVersion = 5 }, always + "is 5"},
	"Duration that is none": {`Info: Duration is a duration`, func(p *parts) { p.duration = notANumber }, "which is not a duration"},
	"Duration of 3 bytes":   {"", func(p *parts) { p.duration = notANumber[:3] }, always + "is a float of 3 bytes"},
	"codec of another type": {`CodecID matches TrackType`, func(p *parts) { p.codec = "A_AAC" }, "does not match TrackType"},
	"no codec":              {"", func(p *parts) { p.codec = "" }, always + "must be set and not be empty"},
	"no Video": {
		`Video has PixelWidth and PixelHeight`,
		func(p *parts) { p.settings = nil }, "needs PixelWidth and PixelHeight",
	},
	"no Audio": {
		`Audio has SamplingFrequency and Channels`,
		func(p *parts) { audio(p); p.settings = nil }, "needs SamplingFrequency and Channels",
	},
	"header stripping": {
		`no ContentEncodings`,
		func(p *parts) { p.more = elem(idContentEncodings, []byte{0xEC, 0x80}) }, "compressed or encrypted",
	},
	"no CodecPrivate": {`CodecPrivate is present`, func(p *parts) { p.private = nil }, "is missing from the track"},
	"no AudioSpecificConfig": {
		`CodecPrivate is present`,
		func(p *parts) { audio(p); p.private = nil }, "is missing from the track",
	},
	"avcC with reserved bits 0": {
		`CodecPrivate is well-formed (avcC: reserved bits 1)`,
		func(p *parts) { p.private = withFirstByte(goodAVCC, 4, 3) }, "reserved bits of avcC",
	},
	"Annex B in CodecPrivate": {
		`CodecPrivate is well-formed (avcC: reserved bits 1)`,
		func(p *parts) { p.private = []byte{0, 0, 0, 1, 0x67, 1, 2, 3} }, "Annex B is not allowed",
	},
	"hvcC of nothing": {
		`CodecPrivate is well-formed (avcC: reserved bits 1)`,
		func(p *parts) { p.codec, p.private = CodecHEVC, []byte{1} }, "shorter than an hvcC record",
	},
	"laced audio": {`blocks are not laced`, func(p *parts) {
		audio(p)
		p.block = elem(idSimpleBlock, []byte{0x81, 0, 0, 0x84, 1, 1, 2, 3, 4})
	}, "is laced"},
	"reserved flags": {
		`reserved flags of blocks are 0`,
		func(p *parts) { p.block = withFirstByte(p.block, 12, 0xF0) }, "has reserved flags set",
	},
	"NAL units that overrun": {
		`NAL units fill their block`,
		func(p *parts) { p.block = withFirstByte(p.block, 16, 9) }, "ends inside a NAL unit",
	},
	"NAL unit of length 0": {
		`NAL units fill their block`,
		func(p *parts) { p.block = withFirstByte(p.block, 16, 0) }, "NAL unit of length 0",
	},
	"no keyframe first": {
		`the first video block is a keyframe`,
		func(p *parts) { p.block = withFirstByte(p.block, 12, 0) }, "but no keyframe",
	},
	"Tags without Tag": {`Tags has a Tag`, func(p *parts) { p.behind = elem(idTags) }, "Tags at byte 262: has no Tag"},
	"Tag without SimpleTag": {
		`a Tag has a SimpleTag`,
		func(p *parts) { p.behind = elem(idTags, elem(idTag)) }, "has no SimpleTag",
	},
	"SimpleTag without a name": {
		"",
		func(p *parts) { p.behind = elem(idTags, elem(idTag, elem(idSimpleTag))) }, always + "has no TagName",
	},
	"block of another track": {
		"",
		func(p *parts) { p.block = withFirstByte(p.block, 9, 0x82) }, always + "belongs to track 2",
	},
	"block without a frame": {
		"",
		func(p *parts) { p.block = elem(idSimpleBlock, []byte{0x81, 0, 0, 0x80}) }, always + "too few for a header and a frame",
	},
	"no Timestamp": {
		"",
		func(p *parts) { p.behind = elem(idCluster, p.block) }, always + "comes before the Timestamp",
	},
	"element of another place": {"", func(p *parts) { p.behind = elem(idTrackEntry) }, always + "does not belong in Segment"},
	"overrun": {
		"",
		func(p *parts) { p.behind = elem(idTags, []byte{0x73, 0x73, 0x8F}) }, always + "overruns the enclosing Tags",
	},
	"TrackTimestampScale not 1": {
		"",
		func(p *parts) { p.more = elem(idTrackTimestampScale, []byte{0x40, 0, 0, 0}) }, always + "it must be 1",
	},
	"track of number 0": {
		"",
		func(p *parts) { p.more = elem(idTrackNumber, []byte{0}) }, always + "is 0; it must be set",
	},
}

func TestWhatAPlayerNeedsAndWhatIsStored(t *testing.T) {
	t.Parallel()
	untested := documentedChecks(t)
	for name, row := range judged {
		delete(untested, row.check)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := goodParts()
			row.change(&p)
			rule, both := strings.CutPrefix(row.rule, always)
			for _, o := range []Options{{}, {AsStored: true}} {
				_, err := readAll(p.bytes(), o)
				want := rule
				if o.AsStored && !both {
					want = ""
				}
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%+v: error %v, want one with %q", o, err, want)
				}
			}
		})
	}
	if len(untested) > 0 {
		t.Errorf("no row tests %q", slices.Collect(maps.Keys(untested)))
	}
}

// documentedChecks are the rows of the table in the package comment that the default refuses.
func documentedChecks(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^//\t(.*\S) +refused  `).FindAllStringSubmatch(string(text), -1) {
		checks[row[1]] = true
	}
	return checks
}

func TestTagsWithTargetsAreNotTheFragmentsAsStored(t *testing.T) {
	t.Parallel()
	p := goodParts()
	p.behind = elem(idTags, elem(idTag, elem(idTargets), simpleTag("ENCODER", "x")), elem(idTag, simpleTag("a", "1")))
	for _, row := range []struct {
		o    Options
		want []Tag
	}{
		{Options{}, []Tag{{"ENCODER", "x"}, {"a", "1"}}},
		{Options{AsStored: true}, []Tag{{"a", "1"}}},
	} {
		if got, err := readAll(p.bytes(), row.o); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%+v: tags %v (%v), want %v", row.o, got, err, row.want)
		}
	}
}

// Both taps together see every byte once, and in order.
func TestTheTapsSeeEveryByte(t *testing.T) {
	t.Parallel()
	p := goodParts()
	p.behind = elem(idTags, elem(idTag, simpleTag("a", "1")))
	stream := append(p.bytes(), elem(idCues, make([]byte, 3*bufferSize))...)
	var seen, clusters []byte
	o := Options{
		Tap:     func(b []byte) error { seen, clusters = append(seen, b...), append(clusters, b...); return nil },
		Outside: func(b []byte) error { seen = append(seen, b...); return nil },
	}
	if _, err := readAll(stream, o); err != nil || !bytes.Equal(seen, stream) {
		t.Errorf("%d of %d bytes were seen (%v)", len(seen), len(stream), err)
	}
	if want := elem(idCluster, elem(idTimestamp, []byte{0}), p.block); !bytes.Equal(clusters, want) {
		t.Errorf("of the Cluster %x was seen, want %x", clusters, want)
	}
	if r := NewReader(bytes.NewReader(stream), Options{}); true {
		if _, err := r.Next(); err != nil || r.Header().SegmentSize.Bytes != 1 || stream[r.Header().SegmentSize.Offset] != 0xFF {
			t.Errorf("the Segment's size is said to be at %+v (%v)", r.Header().SegmentSize, err)
		}
	}
}

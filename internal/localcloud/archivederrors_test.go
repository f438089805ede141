package localcloud

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// brokenFilms are films that KVS stores and does not play, by the names of their streams.
func brokenFilms(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	good := filmMade(t, dir, append(films["H.264"], "-write_crc32", "0")...)
	private := bytes.Index(good, []byte("\x63\xA2"))       // CodecPrivate, and its length in one byte
	block := bytes.Index(good, []byte("\x81\x00\x00\x80")) // a block of track 1, in front of the length of a NAL unit
	if private < 0 || block < 0 {
		t.Fatal("the film has no codec private data or no key frame")
	}
	edited := func(at int, replacement ...byte) []byte {
		return slices.Concat(good[:at], replacement, good[at+len(replacement):])
	}
	return map[string][]byte{
		"private-missing": edited(private, 0xEC, 0x40, good[private+2]&0x7F), // Void of the same length
		"private-broken":  edited(private+3, 0),
		"frame-broken":    edited(block+4, 0xFF, 0xFF, 0xFF, 0xFF),
		"vp8": foreign(t, nil, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2", "-c:v", "libvpx",
			"-f",
			"matroska", "-live", "1", "pipe:1"),
	}
}

// archivedCall is the body of a request of an operation about a stream and a range, as clients write it.
func archivedCall(operation, stream string, from, to any) map[string]any {
	between := map[string]any{"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": map[string]any{"StartTimestamp": from,
		"EndTimestamp": to}}
	body := map[string]any{"StreamName": stream}
	switch operation {
	case "GetHLSStreamingSessionURL":
		body["PlaybackMode"], body["HLSFragmentSelector"] = "ON_DEMAND", between
	case "GetDASHStreamingSessionURL":
		body["PlaybackMode"], body["DASHFragmentSelector"] = "ON_DEMAND", between
	case "GetClip":
		body["ClipFragmentSelector"] = between
	case "GetMediaForFragmentList":
		body["Fragments"] = []any{"1"}
	case "ListFragments":
		body["FragmentSelector"] = between
	}
	return body
}

// TestEachErrorOfArchivedMedia asks with Debian's boto3 and AWS CLI for what each page of the API names an error for.
func TestEachErrorOfArchivedMedia(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	testtools.Need(t, "curl", "ffmpeg")
	c := start(t, Options{StreamDelay: -1, Strictness: media.AsStored})
	dir := t.TempDir()
	streams := map[string]int{"cam": 24, "fleeting": 0, "empty": 24}
	for name, film := range brokenFilms(t, dir) {
		streams[name] = 24
		_, err := c.CreateStream(name, 24)
		must(t, err)
		putTo(t, c, name, film, foreignStart)
	}
	for name, hours := range streams {
		_, err := c.CreateStream(name, hours)
		must(t, err)
	}
	put(t, c, filmOf(t, dir, "H.264"), foreignStart)
	from, to := foreignStart.Unix()-1, foreignStart.Unix()+60
	day := from + 24*3600
	const argument, nothing = "InvalidArgumentException", "ResourceNotFoundException"
	sessions := []string{"GetHLSStreamingSessionURL", "GetDASHStreamingSessionURL"}
	played := append([]string{"GetClip"}, sessions...)
	all := append([]string{"GetMediaForFragmentList", "ListFragments"}, played...)
	var requests []*sent
	var names []string
	ask := func(name, code, says string, operations []string, edit func(operation string, body map[string]any), stream string, from,
		to any) {
		for _, operation := range operations {
			body := archivedCall(operation, stream, from, to)
			if edit != nil {
				edit(operation, body)
			}
			requests = append(requests, &sent{row: &modelRow{Operation: operation, WantError: code, WantText: says}, body: body, bad: true})
			names = append(names, name)
		}
	}
	ask("it is well", "", "", all, nil, "cam", from, to)
	ask("an unknown stream", nothing, "none is not found", all, nil, "none", from, to)
	ask("neither name nor ARN", argument, "exactly one", all, func(_ string, b map[string]any) { delete(b, "StreamName") }, "cam", from, to)
	ask("no retention", "NoDataRetentionException", "does not retain data", played, nil, "fleeting", from, to)
	ask("no retention, a list", "", "", []string{"GetMediaForFragmentList", "ListFragments"}, nil, "fleeting", from, to)
	ask("an empty stream", nothing, "No fragments found", played, nil, "empty", from, to)
	ask("nothing in the range", nothing, "No fragments found", played, nil, "cam", to, to+60)
	ask("an end before its start", argument, "must", append([]string{"ListFragments"}, played...), nil, "cam", to, from)
	ask("more than a day", argument, "within 24 hours", played, nil, "cam", from, day+1)
	ask("a day", "", "", played, nil, "cam", from, day)
	ask("no private data", "MissingCodecPrivateDataException", "track 1", played, nil, "private-missing", from, to)
	ask("broken private data", "InvalidCodecPrivateDataException", "track 1", played, nil, "private-broken", from, to)
	ask("another codec", "UnsupportedStreamMediaTypeException", "V_VP8", played, nil, "vp8", from, to)
	ask("a broken frame", "InvalidMediaFrameException", "could not be parsed", []string{"GetClip"}, nil, "frame-broken", from, to)
	ask("a broken frame, a session", "", "", sessions, nil, "frame-broken", from, to)
	ask("a range in LIVE", argument, "must not be given if PlaybackMode is LIVE", sessions,
		func(_ string, b map[string]any) { b["PlaybackMode"] = "LIVE" }, "cam", from, to)
	check := func(client string) {
		for i, s := range requests {
			a := s.answer
			if a.Unsent != "" || a.Code != s.row.WantError || !strings.Contains(a.Message, s.row.WantText) {
				t.Errorf("%s, %s by %s is answered with %s%q %q, want %q %q", names[i], s.row.Operation, client, a.Unsent, a.Code, a.Message,
					s.row.WantError, s.row.WantText)
			}
		}
	}
	runPython(t, c, "boto3", requests)
	check("boto3")
	runPython(t, c, "cli", requests)
	check("the AWS CLI")
}

package payload_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// written is a part as the tables of this file write it: its header and data, its number and time, and
// whether it is a fragment.
func written(p payload.Part, headerSize int) string {
	text := fmt.Sprintf("%x", slices.Concat(p.Header[:headerSize], p.Data))
	if p.Numbered {
		text += fmt.Sprintf(" #%d", p.DON)
	}
	if p.Later > 0 {
		text += fmt.Sprintf(" +%d", p.Later)
	}
	switch {
	case p.Start && p.End:
	case p.Start:
		text += " start"
	case p.End:
		text += " end"
	default:
		text += " middle"
	}
	return text
}

// TestH264 is the table of RFC 6184's payloads, and of broken ones.
func TestH264(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payload string
		want    []string
		err     error
	}{
		"empty":                   {"", nil, payload.ErrShort},
		"single":                  {"\x65ab", []string{"656162"}, nil},
		"STAP-A":                  {"\x78\x00\x02\x67a\x00\x02\x68b", []string{"6761", "6862"}, nil},
		"STAP-A, one empty":       {"\x78\x00\x00\x00\x02\x68b", []string{"6862"}, payload.ErrEmpty},
		"STAP-A, torn":            {"\x78\x00\x02\x67a\x00\x09\x68b", []string{"6761"}, payload.ErrAggregate},
		"STAP-A, a byte after it": {"\x78\x00\x02\x67a\x00", []string{"6761"}, payload.ErrAggregate},
		"STAP-B":                  {"\x79\xff\xff\x00\x02\x67a\x00\x02\x68b", []string{"6761 #65535", "6862 #0"}, nil},
		"STAP-B without a number": {"\x79\xff", nil, payload.ErrAggregate},
		"MTAP16": {"\x7a\x00\x05\x00\x02\x01\x03\xe8\x67a\x00\x02\x00\x00\x00\x68b",
			[]string{"6761 #6 +1000", "6862 #5"}, nil},
		"MTAP24":                     {"\x7b\x00\x05\x00\x02\x01\x01\x00\x00\x67a", []string{"6761 #6 +65536"}, nil},
		"MTAP16, torn in its header": {"\x7a\x00\x05\x00\x02\x01", nil, payload.ErrAggregate},
		"FU-A, start":                {"\x7c\x85ab", []string{"656162 start"}, nil},
		"FU-A, middle":               {"\x7c\x05ab", []string{"656162 middle"}, nil},
		"FU-A, end":                  {"\x7c\x45ab", []string{"656162 end"}, nil},
		"FU-A, start and end":        {"\x7c\xc5ab", []string{"656162"}, nil},
		"FU-A, reserved bit":         {"\x7c\xa5ab", []string{"656162 start"}, nil},
		"FU-A, too short":            {"\x7c", nil, payload.ErrFragment},
		"FU-B":                       {"\x7d\x85\x01\x02ab", []string{"656162 #258 start"}, nil},
		"FU-B, too short":            {"\x7d\x85\x01", nil, payload.ErrFragment},
		"undefined":                  {"\x7eab", nil, payload.UndefinedError{Codec: "H.264", Type: 30}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := payload.H264([]byte(c.payload), func(p payload.Part) { got = append(got, written(p, 1)) })
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%q %v, want %q %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestH265 is the table of RFC 7798's payloads, and of broken ones.
func TestH265(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payload  string
		numbered bool
		want     []string
		err      error
	}{
		"too short":             {"\x26", false, nil, payload.ErrShort},
		"single":                {"\x26\x01ab", false, []string{"26016162"}, nil},
		"single, numbered":      {"\x26\x01\x00\x07ab", true, []string{"26016162 #7"}, nil},
		"single without number": {"\x26\x01a", true, nil, payload.ErrShort},
		"AP":                    {"\x60\x01\x00\x03\x40\x01v\x00\x03\x42\x01s", false, []string{"400176", "420173"}, nil},
		"AP, numbered": {"\x60\x01\xff\xff\x00\x03\x40\x01v\x00\x00\x03\x42\x01s\x02\x00\x03\x44\x01p", true,
			[]string{"400176 #65535", "420173 #0", "440170 #3"}, nil},
		"AP, a unit without header": {"\x60\x01\x00\x01\x40\x00\x03\x42\x01s", false, []string{"420173"}, payload.ErrEmpty},
		"AP, torn":                  {"\x60\x01\x00\x09\x40\x01v", false, nil, payload.ErrAggregate},
		"AP without number":         {"\x60\x01\x00", true, nil, payload.ErrAggregate},
		"FU, start":                 {"\x62\x01\x93ab", false, []string{"26016162 start"}, nil},
		"FU, start, numbered":       {"\x62\x01\x93\x00\x09ab", true, []string{"26016162 #9 start"}, nil},
		"FU, end, numbered":         {"\x62\x01\x53ab", true, []string{"26016162 end"}, nil},
		"FU, start and end":         {"\x62\x01\xd3ab", false, []string{"26016162"}, nil},
		"FU of a layer":             {"\x63\x0a\x93ab", false, []string{"270a6162 start"}, nil},
		"FU, too short":             {"\x62\x01", false, nil, payload.ErrFragment},
		"FU, number too short":      {"\x62\x01\x93\x00", true, nil, payload.ErrFragment},
		"PACI":                      {"\x64\x01\x26\x00ab", false, []string{"26016162"}, nil},
		"PACI with an extension":    {"\x64\x01\x26\x38\x01\x02\x03ab", false, []string{"26016162"}, nil},
		"PACI of a fragment":        {"\x64\x01\x62\x00\x93ab", false, []string{"26016162 start"}, nil},
		"PACI of an AP":             {"\x64\x01\x60\x00\x00\x03\x40\x01v", false, []string{"400176"}, nil},
		"PACI, numbered":            {"\x64\x01\x26\x00\x00\x07ab", true, []string{"26016162 #7"}, nil},
		"PACI, forbidden bit":       {"\x64\x01\xa6\x00ab", false, []string{"a6016162"}, nil},
		"PACI, too short":           {"\x64\x01\x26\x38\x01", false, nil, payload.ErrAggregate},
		"PACI in PACI":              {"\x64\x01\x64\x00\x26\x00ab", false, nil, payload.ErrAggregate},
		"undefined":                 {"\x66\x01ab", false, nil, payload.UndefinedError{Codec: "H.265", Type: 51}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := payload.H265([]byte(c.payload), c.numbered, func(p payload.Part) { got = append(got, written(p, 2)) })
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%q %v, want %q %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestLengths distinguishes NAL units with lengths from others.
func TestLengths(t *testing.T) {
	t.Parallel()
	valid := func(nal []byte) bool { return nal[0] == 0x65 || nal[0] == 0x67 }
	long := string(slices.Repeat([]byte{0x65}, 300))
	for name, c := range map[string]struct {
		nal            string
		yes, ambiguous bool
	}{
		"one":              {"\x00\x00\x00\x03\x65ab", true, false},
		"two":              {"\x00\x00\x00\x03\x65ab\x00\x00\x00\x02\x67a", true, false},
		"longer":           {"\x00\x00\x00\x04\x65ab", false, false},
		"shorter":          {"\x00\x00\x00\x02\x65ab", false, false},
		"no NAL unit":      {"\x00\x00\x00\x03\x05ab", false, false},
		"length 0":         {"\x00\x00\x00\x00", false, false},
		"Annex B":          {"\x00\x00\x00\x01\x65ab", false, false},
		"as a start code":  {"\x00\x00\x01\x2c" + long, true, true},
		"nothing":          {"", false, false},
		"an ordinary unit": {"\x65ab", false, false},
	} {
		if yes, ambiguous := payload.Lengths([]byte(c.nal), valid); yes != c.yes || ambiguous != c.ambiguous {
			t.Errorf("%s: %v %v", name, yes, ambiguous)
		}
	}
}

func FuzzPayloads(f *testing.F) {
	for _, seed := range []string{"\x79\xff\xff\x00\x02\x67a\x00\x02\x68b", "\x7a\x00\x05\x00\x02\x01\x03\xe8\x67a", "\x7d\x85\x01\x02ab",
		"\x64\x01\x26\x38\x01\x02\x03ab", "\x60\x01\xff\xff\x00\x03\x40\x01v\x00\x00\x03\x42\x01s", "\x62\x01\x93\x00\x09ab"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, size := 0, 0
		take := func(p payload.Part) {
			parts++
			size += len(p.Data)
			if p.Numbered && p.Later > 1<<24 {
				t.Error("an impossible timestamp offset")
			}
		}
		_ = payload.H264(data, take)
		_ = payload.H265(data, false, take)
		_ = payload.H265(data, true, take)
		if size > 3*len(data) || parts > 3*len(data) {
			t.Errorf("%d parts of %d bytes in %d bytes", parts, size, len(data))
		}
		if yes, _ := payload.Lengths(data, func([]byte) bool { return true }); yes && len(data) < 5 {
			t.Error("lengths without content")
		}
	})
}

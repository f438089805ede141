package strictmkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// elem writes an element with a size of eight bytes.
func elem(name id, parts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(name))
	b = bytes.TrimLeft(b, "\x00")
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint64(b, 1<<56|uint64(len(body))), body...)
}

func simpleTag(name, value string) []byte {
	return elem(idSimpleTag, elem(idTagName, []byte(name)), elem(idTagString, []byte(value)))
}

// readAllTags reads the tags after a header as far as possible.
func readAllTags(body []byte) (tags []Tag, err error) {
	r := NewClusterReader(bytes.NewReader(body), &Header{TimestampScale: time.Millisecond, Tracks: []Track{{Number: 1, Type: TypeVideo}}},
		Options{})
	for {
		event, err := r.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return tags, err
		}
		tags = append(tags, event.Tags...)
	}
}

func TestTagsAreReadStrictly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		body []byte
		want []Tag
		rule string // part of the error; "" = none
	}{
		{"two", elem(idTags, elem(idTag, simpleTag("a", "1"), simpleTag("b", ""))), []Tag{{"a", "1"}, {"b", ""}}, ""},
		{"in two Tag elements", elem(idTags, elem(idTag, simpleTag("a", "1")), elem(idTag, simpleTag("b", "2"))), []Tag{{"a", "1"}, {"b", "2"}},
			""},
		{"without a value", elem(idTags, elem(idTag, elem(idSimpleTag, elem(idTagName, []byte("a"))))), []Tag{{"a", ""}}, ""},
		{"nested", elem(idTags, elem(idTag, elem(idSimpleTag, elem(idTagName, []byte("a")), simpleTag("b", "2")))),
			[]Tag{{"a", ""}, {"b", "2"}}, ""},
		{"with Targets", elem(idTags, elem(idTag, elem(0x63C0), simpleTag("a", "1"))), []Tag{{"a", "1"}}, ""},
		{"no Tag", elem(idTags), nil, "has no Tag"},
		{"no SimpleTag", elem(idTags, elem(idTag)), nil, "has no SimpleTag"},
		{"no name", elem(idTags, elem(idTag, elem(idSimpleTag, elem(idTagString, []byte("1"))))), nil, "has no TagName"},
		{"an empty name", elem(idTags, elem(idTag, simpleTag("", "1"))), nil, "has no TagName"},
		{"two names", elem(idTags, elem(idTag, elem(idSimpleTag, elem(idTagName, []byte("a")), elem(idTagName, []byte("b"))))), nil,
			"TagName at byte 43: occurs twice"},
		{"two values", elem(idTags, elem(idTag, elem(idSimpleTag, elem(idTagName, []byte("a")), elem(idTagString), elem(idTagString)))), nil,
			"TagString at byte 53: occurs twice"},
		{"not UTF-8", elem(idTags, elem(idTag, simpleTag("a", "\xff"))), nil, "is not UTF-8"},
		{"a name beyond its parent", elem(idTags, elem(idTag, elem(idSimpleTag, []byte{0x45, 0xA3, 0x85, 'a'}))), nil,
			"overruns the enclosing SimpleTag"},
		{"something else in Tags", elem(idTags, elem(idCluster)), nil, "does not belong in Tags"},
		{"too deep", elem(idTags, elem(idTag, nested(9))), nil, "nested more than 8 deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := readAllTags(test.body)
			if test.rule == "" && err != nil || test.rule != "" && (err == nil || !strings.Contains(err.Error(), test.rule)) {
				t.Errorf("error %v, want one with %q", err, test.rule)
			}
			if test.rule == "" && !slices.Equal(got, test.want) {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
}

func nested(depth int) []byte {
	tag := simpleTag("a", "")
	for range depth - 1 {
		tag = elem(idSimpleTag, elem(idTagName, []byte("a")), tag)
	}
	return tag
}

// FuzzTags: whatever comes, the reader ends with tags that have names, or says which rule is broken.
func FuzzTags(f *testing.F) {
	f.Add(elem(idTags, elem(idTag, simpleTag("a", "1"), simpleTag("AWS_KINESISVIDEO_NOTIFICATION", ""))))
	f.Add(elem(idTags, elem(idTag, nested(8))))
	f.Add(elem(idTags, elem(idTag, elem(0x63C0), simpleTag("a", "\x00"))))
	f.Add([]byte{0x12, 0x54, 0xC3, 0x67, 0x8D, 0x73, 0x73, 0x8A, 0x67, 0xC8, 0x87, 0x45, 0xA3, 0x81, 'a', 0x44, 0x87, 0x80})
	f.Fuzz(func(t *testing.T, body []byte) {
		tags, err := readAllTags(body)
		var broken *Error
		if err != nil && !errors.As(err, &broken) {
			t.Fatalf("%T: %v", err, err)
		}
		for _, tag := range tags {
			if tag.Name == "" {
				t.Fatalf("a tag without a name in %q", tags)
			}
		}
	})
}

package media

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// tagsOf lists each stored fragment's tags as "name=value …".
func tagsOf(c *cloud) (list []string) {
	for _, f := range c.Fragments("cam") {
		var all []string
		for _, tag := range f.Tags {
			all = append(all, tag.Name+"="+tag.Value)
		}
		list = append(list, strings.Join(all, " "))
	}
	return list
}

func pairs(list ...string) []byte { return archive.AppendTags(nil, list...) }

var shortAt = func(at int64) []byte { return cluster(at, frames(3, 20)...) }

// tagged are bodies behind a head, and the tags of their fragments.
var tagged = []struct {
	name string
	body [][]byte
	want []string
}{
	{"none", [][]byte{second(epoch), second(epoch + 1000)}, []string{"", ""}},
	{
		"behind each",
		[][]byte{second(epoch), pairs("a", "1", "b", ""), second(epoch + 1000), pairs("a", "2")},
		[]string{"a=1 b=", "a=2"},
	},
	{
		"before each: the first has them twice",
		[][]byte{pairs("a", "1"), second(epoch), pairs("a", "2"), second(epoch + 1000)},
		[]string{"a=1 a=2", ""},
	},
	{
		"one Tags element each, as AWS's producers",
		[][]byte{second(epoch), pairs("a", "1"), pairs("b", "2"), endTag(), second(epoch + 1000)},
		[]string{"a=1 b=2 AWS_KINESISVIDEO_END_OF_FRAGMENT=", ""},
	},
	{
		"unknown sizes",
		[][]byte{
			unknownCluster(epoch, frames(25, 20)...), pairs("a", "1"),
			unknownCluster(epoch+1000, frames(25, 20)...), pairs("a", "2"),
		},
		[]string{"a=1", "a=2"},
	},
	{"after the end of the fragment: the next has them",
		[][]byte{second(epoch), pairs("a", "1"), endTag(), pairs("b", "2"), second(epoch + 1000), pairs("c", "3")},
		[]string{"a=1 AWS_KINESISVIDEO_END_OF_FRAGMENT=", "b=2 c=3"}},
	{
		"after the end of the last fragment: no fragment has them",
		[][]byte{second(epoch), endTag(), pairs("b", "2")},
		[]string{"AWS_KINESISVIDEO_END_OF_FRAGMENT="},
	},
	{"an end without a fragment ends nothing",
		[][]byte{endTag(), second(epoch), endTag(), endTag(), second(epoch + 1000), pairs("c", "3")},
		[]string{"AWS_KINESISVIDEO_END_OF_FRAGMENT= AWS_KINESISVIDEO_END_OF_FRAGMENT=", "AWS_KINESISVIDEO_END_OF_FRAGMENT= c=3"}},
	{
		"an end and more in one element",
		[][]byte{second(epoch), pairs("AWS_KINESISVIDEO_END_OF_FRAGMENT", "", "a", "1"), second(epoch + 1000)},
		[]string{"AWS_KINESISVIDEO_END_OF_FRAGMENT= a=1", ""},
	},
	{"behind a short last one", [][]byte{second(epoch), shortAt(epoch + 1000), pairs("a", "2")}, []string{"", "a=2"}},
	{"behind a short one before a pause", [][]byte{shortAt(epoch), pairs("a", "1"), second(epoch + 60_000)}, []string{"a=1", ""}},
}

func TestTagsBelongToTheFragmentBeforeThem(t *testing.T) {
	t.Parallel()
	for _, test := range tagged {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{})
			p := c.open(t)
			p.write(streamHead())
			p.write(test.body...)
			p.body.Close()
			p.rest()
			if got := tagsOf(c); !slices.Equal(got, test.want) {
				t.Errorf("the fragments have %q, want %q", got, test.want)
			}
			tagged := 0
			for _, tags := range test.want {
				if tags != "" {
					tagged++
				}
			}
			if n := c.Stats("cam").Tagged; n != tagged {
				t.Errorf("%d fragments with tags are counted, want %d", n, tagged)
			}
			checkFileHoldsWhatIsListed(t, c)
		})
	}
}

func TestTheLimitsOfTagsHoldForOneFragment(t *testing.T) {
	t.Parallel()
	many := func(n int) (pairs []string) {
		for i := range n {
			pairs = append(pairs, fmt.Sprint(i), "x")
		}
		return pairs
	}
	tests := []struct {
		name string
		tags [][]string // of each Tags element behind the first fragment
		good bool
	}{
		{"10 in one", [][]string{many(10)}, true},
		{"11 in one", [][]string{many(11)}, false},
		{"10 in two", [][]string{many(5), many(5)}, true},
		{"11 in two", [][]string{many(6), many(5)}, false},
		{"name of 128 bytes", [][]string{{strings.Repeat("n", 128), ""}}, true},
		{"name of 129 bytes", [][]string{{strings.Repeat("n", 129), ""}}, false},
		{"value of 256 bytes", [][]string{{"n", strings.Repeat("v", 256)}}, true},
		{"value of 257 bytes", [][]string{{"n", strings.Repeat("v", 257)}}, false},
		{"images", [][]string{{"AWS_KINESISVIDEO_IMAGE_GENERATION", "", "AWS_KINESISVIDEO_IMAGE_PREFIX", "p"}}, true},
		{"notification", [][]string{{"AWS_KINESISVIDEO_NOTIFICATION", ""}}, true},
		{"a name of AWS", [][]string{{"AWS_KINESISVIDEO_FRAGMENT_NUMBER", "7"}}, false},
		{"a name that begins with AWS", [][]string{{"AWSnap", "7"}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{})
			p := c.open(t)
			body := append(streamHead(), second(epoch)...)
			for _, pairs := range test.tags {
				body = archive.AppendTags(body, pairs...)
			}
			body = append(body, second(epoch+1000)...)
			go func() {
				_, _ = p.body.Write(body) // the connection may be closed before the end
				p.body.Close()
			}()
			want := slices.Concat(stored(epoch), stored(epoch+1000))
			if !test.good {
				want = []string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/FRAGMENT_METADATA_LIMIT_REACHED"}
			}
			if got := p.rest(); !slices.Equal(got, want) {
				t.Errorf("acknowledgements %v, want %v", got, want)
			}
			checkFileHoldsWhatIsListed(t, c)
		})
	}
}

func TestTagsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for run := range 2 {
		s, err := New(Options{Dir: dir, Streams: camera()})
		if err != nil {
			t.Fatal(err)
		}
		if run == 0 {
			c := &cloud{Service: s, server: httptest.NewServer(s)}
			t.Cleanup(c.server.Close)
			p := c.open(t)
			p.write(streamHead(), second(epoch), archive.AppendTags(nil, "a", "ü"), archive.AppendTags(nil, "b", ""), second(epoch+1000),
				archive.AppendTags(nil, "c", "3"))
			p.body.Close()
			p.rest()
		} else if got, want := tagsOf(&cloud{Service: s}), []string{"a=ü b=", "c=3"}; !slices.Equal(got, want) {
			t.Errorf("after a restart the fragments have %q, want %q", got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

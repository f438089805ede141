package localcloud

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// manyTags are n tags k0 and so on, as a map or as a list.
func manyTags(n int, asList bool) string {
	var tags []string
	for i := range n {
		if asList {
			tags = append(tags, fmt.Sprintf(`{"Key":"k%d","Value":"v"}`, i))
		} else {
			tags = append(tags, fmt.Sprintf(`"k%d":"v"`, i))
		}
	}
	if asList {
		return "[" + strings.Join(tags, ",") + "]"
	}
	return "{" + strings.Join(tags, ",") + "}"
}

func TestBothFamiliesOfCallsSeeTheSameTags(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	channel := strings.Replace(arn, ":stream/", ":channel/", 1)
	full := strings.Replace(manyTags(50, false), `"k49":"v"`, `"k49":"w"`, 1)
	for _, row := range []struct{ operation, body, code, left string }{
		{"TagStream", `{"StreamName":"cam","Tags":{"a":"1","b":""}}`, "", `{"a":"1","b":""}`},
		{"TagResource", `{"ResourceARN":"ARN","Tags":[{"Key":"a","Value":"2"},{"Key":"ü:/=+-@ .","Value":"é"}]}`, "",
			`{"a":"2","b":"","ü:/=+-@ .":"é"}`},
		{"UntagStream", `{"StreamARN":"ARN","TagKeyList":["ü:/=+-@ .","none"]}`, "", `{"a":"2","b":""}`},
		{"UntagResource", `{"ResourceARN":"ARN","TagKeyList":["b"]}`, "", `{"a":"2"}`},
		{"TagStream", `{"StreamName":"cam","Tags":` + manyTags(50, false) + `}`, kvsmodel.TagsExceeded, `{"a":"2"}`},
		{"TagResource", `{"ResourceARN":"ARN","Tags":` + manyTags(50, true) + `}`, kvsmodel.TagsExceeded, `{"a":"2"}`},
		{"TagStream", `{"StreamName":"cam","Tags":{"aws:x":"1"}}`, kvsmodel.InvalidArgument, `{"a":"2"}`},
		{"TagResource", `{"ResourceARN":"ARN","Tags":[{"Key":"AWS:x","Value":"1"}]}`, kvsmodel.InvalidArgument, `{"a":"2"}`},
		{"TagResource", `{"ResourceARN":"ARN","Tags":[{"Key":"x","Value":"1"},{"Key":"x","Value":"2"}]}`, kvsmodel.InvalidArgument, `{"a":"2"}`},
		{"UntagStream", `{"StreamName":"cam","TagKeyList":["aws:x"]}`, kvsmodel.InvalidArgument, `{"a":"2"}`},
		{"TagStream", `{"StreamARN":"CHANNEL","Tags":{"x":"1"}}`, kvsmodel.InvalidResourceFormat, `{"a":"2"}`},
		{"UntagStream", `{"StreamARN":"CHANNEL","TagKeyList":["a"]}`, kvsmodel.InvalidResourceFormat, `{"a":"2"}`},
		{"ListTagsForStream", `{"StreamARN":"CHANNEL"}`, kvsmodel.InvalidResourceFormat, `{"a":"2"}`},
		{"TagResource", `{"ResourceARN":"CHANNEL","Tags":[{"Key":"x","Value":"1"}]}`, kvsmodel.ResourceNotFound, `{"a":"2"}`},
		{"UntagResource", `{"ResourceARN":"CHANNEL","TagKeyList":["a"]}`, kvsmodel.ResourceNotFound, `{"a":"2"}`},
		{"ListTagsForResource", `{"ResourceARN":"CHANNEL"}`, kvsmodel.ResourceNotFound, `{"a":"2"}`},
		{"ListTagsForStream", `{"StreamName":"cam","NextToken":"AAAA"}`, kvsmodel.InvalidArgument, `{"a":"2"}`},
		{"UntagStream", `{"StreamName":"cam","TagKeyList":["a"]}`, "", `{}`},
		{"TagStream", `{"StreamName":"cam","Tags":` + manyTags(50, false) + `}`, "", manyTags(50, false)},
		{"TagStream", `{"StreamName":"cam","Tags":{"k49":"w"}}`, "", full},
		{"TagStream", `{"StreamName":"cam","Tags":{"k50":"w"}}`, kvsmodel.TagsExceeded, full},
	} {
		body := strings.NewReplacer("ARN\":\"ARN", "ARN\":\""+arn, "ARN\":\"CHANNEL", "ARN\":\""+channel).Replace(row.body)
		if code, out := ask(t, c, row.operation, body); code != row.code {
			t.Errorf("%s %s is answered with %q (%v), want %q", row.operation, body, code, out["Message"], row.code)
		}
		for operation, id := range map[string]string{
			"ListTagsForStream": `{"StreamName":"cam"}`, "ListTagsForResource": `{"ResourceARN":"` + arn + `"}`,
		} {
			if got := jsonOf(t, succeed(t, c, operation, id)["Tags"]); !sameJSON(t, got, row.left) {
				t.Errorf("after %s %s %s lists %s, want %s", row.operation, body, operation, got, row.left)
			}
		}
	}
	if code, _ := ask(t, c, "CreateStream", `{"StreamName":"x","Tags":{"aws:a":"1"}}`); code != kvsmodel.InvalidArgument {
		t.Errorf("a reserved key at creation is answered with %q", code)
	}
}

package localcloud

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// modelRow is one rule on one member of one operation, with requests that keep to it and break it.
type modelRow struct {
	Operation, Path string
	Rule            apimodel.Rule
	Good, Bad       []map[string]any
	WantError       string
	WantText        string // that a refusal holds
}

func (r modelRow) String() string { return fmt.Sprintf("%s %s: %s", r.Operation, r.Path, r.Rule) }

// absent stands for a member that a request lacks.
type absent struct{}

// fitting makes values of the shapes that have a pattern, of n characters or of the least number
// above that the pattern allows; broken does not match the pattern and has a good length.
var fitting = map[string]struct {
	fit    func(n int) string
	broken string
}{
	"StreamName":           {padded("", "a", ""), "a/b"},
	"DeviceName":           {padded("", "a", ""), "a b"},
	"MediaType":            {padded("v/h", "h", ""), "video"},
	"KmsKeyId":             {padded("", "k", ""), "\n"},
	"Version":              {padded("", "1", ""), "a-b"},
	"NextToken":            {padded("", "A", ""), "a b"},
	"TagKey":               {padded("", "é", ""), "a#b"},
	"TagValue":             {padded("", "é", ""), "a#b"},
	"ResourceARN":          {padded("arn:aws:kinesisvideo:us-west-2:1:stream/n", "n", "/1"), "arn:aws:s3:us-west-2:1:stream/none/1"},
	"DestinationUri":       {padded("s:b", "b", ""), "bucket"},
	"DestinationRegion":    {padded("us-w", "w", "-2"), "US-WEST-22"},
	"FragmentNumberString": {padded("", "1", ""), "1a"},
	"FormatConfigValue":    {padded("8", "0", ""), "a-b"},
	"HubDeviceArn":         {padded("arn:aws:iot:us-west-2:1:thing/h", "h", ""), "arn:aws:iot:us-west-2:1:cert/h"},
	"MediaUriSecretArn":    {padded("arn:aws:secretsmanager:us-west-2:1:secret:s", "s", ""), "arn:aws:ssm:us-west-2:1:parameter/s"},
	"ScheduleExpression":   {padded("", "*", ""), "0 0 * * *\n?"},
}

func padded(head, pad, tail string) func(int) string {
	return func(n int) string { return head + strings.Repeat(pad, max(0, n-len(head)-len(tail))) + tail }
}

// sample is a value that keeps to all rules, with the required members only.
func sample(s *apimodel.Shape) any {
	switch {
	case s.Kind == apimodel.Structure:
		return build(s.Members, nil, nil)
	case s.Kind == apimodel.List:
		return []any{sample(s.Element)}
	case s.Kind == apimodel.Map:
		return map[string]any{sample(s.Key).(string): sample(s.Element)}
	case s.Kind == apimodel.Boolean:
		return true
	case s.Kind == apimodel.Time:
		return 1_700_000_000
	case s.Kind == apimodel.Integer:
		return max(s.Min, min(s.Max, 1000))
	case s.Enum != nil:
		return s.Enum[0]
	default:
		return fitting[s.Name].fit(int(max(s.Min, 1)))
	}
}

// build makes an object with its required members and with value at the end of path.
func build(members []apimodel.Member, path []string, value any) map[string]any {
	object := map[string]any{}
	for _, m := range members {
		switch {
		case len(path) > 0 && m.Name == path[0]:
			if given := nest(m.Shape, path[1:], value); given != (absent{}) {
				object[m.Name] = given
			}
		case m.Required:
			object[m.Name] = sample(m.Shape)
		}
	}
	return object
}

func nest(s *apimodel.Shape, path []string, value any) any {
	switch {
	case len(path) == 0:
		return value
	case s.Kind == apimodel.Structure:
		return build(s.Members, path, value)
	case s.Kind == apimodel.List:
		return []any{nest(s.Element, path[1:], value)}
	case path[0] == "key":
		return map[string]any{value.(string): sample(s.Element)}
	default:
		return map[string]any{sample(s.Key).(string): value}
	}
}

// rowsOf walks the table.
func rowsOf(operations []kvsmodel.Operation) (rows []modelRow) {
	for i := range operations {
		o := &operations[i]
		for _, m := range o.Members {
			rows = append(rows, memberRows(o, []string{m.Name}, m.Shape, m.Required)...)
		}
	}
	return rows
}

func memberRows(o *kvsmodel.Operation, path []string, s *apimodel.Shape, required bool) (rows []modelRow) {
	isKey := path[len(path)-1] == "key"
	add := func(rule apimodel.Rule, good, bad []any, phrase string, args ...any) {
		row := modelRow{Operation: o.Name, Path: strings.ReplaceAll(strings.Join(path, "."), ".[", "["), Rule: rule}
		row.WantError = wantedError(o, row.Path, rule)
		row.WantText = fmt.Sprintf("at '%s' failed to satisfy constraint: Member must ", row.Path) + fmt.Sprintf(phrase, args...)
		if rule == apimodel.Type {
			row.WantText = row.Path + " must be "
		}
		for _, value := range good {
			row.Good = append(row.Good, request(o, path, value))
		}
		for _, value := range bad {
			row.Bad = append(row.Bad, request(o, path, value))
		}
		rows = append(rows, row)
	}
	if required {
		add(apimodel.Required, []any{sample(s)}, []any{absent{}, nil}, "not be null")
	}
	if !isKey { // the keys of JSON objects are strings
		add(apimodel.Type, []any{sample(s)}, wrongTypes(s.Kind), "")
	}
	switch s.Kind {
	case apimodel.String:
		textRows(s, add)
	case apimodel.Integer:
		numberRows(s, add)
	case apimodel.Structure:
		for _, m := range s.Members {
			rows = append(rows, memberRows(o, slices.Concat(path, []string{m.Name}), m.Shape, m.Required)...)
		}
	case apimodel.List:
		sizeRows(s, add)
		rows = append(rows, memberRows(o, slices.Concat(path, []string{"[0]"}), s.Element, false)...)
	case apimodel.Map:
		sizeRows(s, add)
		rows = append(rows, memberRows(o, slices.Concat(path, []string{"key"}), s.Key, false)...)
		rows = append(rows, memberRows(o, slices.Concat(path, []string{"value"}), s.Element, false)...)
	}
	return rows
}

// request is one that breaks no rule but perhaps one on the path. The stream that it names does not
// exist, so that most requests change nothing.
func request(o *kvsmodel.Operation, path []string, value any) map[string]any {
	object := build(o.Members, path, value)
	names := slices.ContainsFunc(o.Members, func(m apimodel.Member) bool { return m.Name == "StreamName" })
	if names && o.Name != "CreateStream" && path[0] != "StreamName" && path[0] != "StreamARN" {
		object["StreamName"] = "none"
	}
	return object
}

// wantedError is the error that an operation declares for a rule.
func wantedError(o *kvsmodel.Operation, path string, rule apimodel.Rule) string {
	aboutStreams := slices.Contains([]string{"TagStream", "UntagStream", "ListTagsForStream"}, o.Name)
	switch {
	case rule == apimodel.Type:
		return "SerializationException"
	case path == "Tags" && rule == apimodel.MaxSize:
		return "TagsPerResourceExceededLimitException"
	case path == "StreamARN" && rule == apimodel.Matches && aboutStreams:
		return "InvalidResourceFormatException"
	default:
		return "InvalidArgumentException"
	}
}

func wrongTypes(kind apimodel.Kind) []any {
	switch kind {
	case apimodel.String:
		return []any{5, true, []any{"a"}, map[string]any{"a": "b"}}
	case apimodel.Integer:
		return []any{"5", 5.5, true, int64(1) << 31, []any{5}}
	case apimodel.Boolean:
		return []any{"true", 1}
	case apimodel.Time:
		return []any{"x", []any{"a"}} // of true, the AWS SDK for Python makes 1
	case apimodel.List:
		return []any{5, true} // of others, the AWS SDK for Python makes lists
	default:
		return []any{5, "a", []any{"a"}}
	}
}

type addRow func(rule apimodel.Rule, good, bad []any, phrase string, args ...any)

func textRows(s *apimodel.Shape, add addRow) {
	if s.Enum != nil {
		var good []any
		for _, value := range s.Enum {
			good = append(good, value)
		}
		add(apimodel.InEnum, good, []any{strings.ToLower(s.Enum[0]), s.Enum[0] + "S"}, "satisfy enum value set: [%s]", strings.Join(s.Enum, ", "))
		return
	}
	f := fitting[s.Name]
	if s.Min > 0 {
		short := ""
		if s.Min > 1 {
			short = strings.Repeat("a", int(s.Min)-1)
		}
		add(apimodel.MinLength, []any{f.fit(int(s.Min))}, []any{short}, "have length greater than or equal to %d", s.Min)
	}
	add(apimodel.MaxLength, []any{f.fit(int(s.Max))}, []any{f.fit(int(s.Max) + 1)}, "have length less than or equal to %d", s.Max)
	add(apimodel.Matches, []any{f.fit(int(s.Min))}, []any{f.broken}, "satisfy regular expression pattern: %s", s.Pattern)
}

func numberRows(s *apimodel.Shape, add addRow) {
	if s.Min != apimodel.NoMin {
		add(apimodel.MinValue, []any{s.Min}, []any{s.Min - 1}, "have value greater than or equal to %d", s.Min)
	}
	if s.Max != apimodel.NoMax {
		add(apimodel.MaxValue, []any{s.Max}, []any{s.Max + 1}, "have value less than or equal to %d", s.Max)
	}
}

func sizeRows(s *apimodel.Shape, add addRow) {
	sized := func(n int64) any {
		list, entries := make([]any, 0, n), map[string]any{}
		for i := range n {
			list = append(list, sample(s.Element))
			if s.Kind == apimodel.Map && i > 0 {
				entries[fmt.Sprint("k", i)] = sample(s.Element)
			} else if s.Kind == apimodel.Map {
				entries[sample(s.Key).(string)] = sample(s.Element)
			}
		}
		if s.Kind == apimodel.Map {
			return entries
		}
		return list
	}
	add(apimodel.MinSize, []any{sized(s.Min)}, []any{sized(s.Min - 1)}, "have length greater than or equal to %d", s.Min)
	add(apimodel.MaxSize, []any{sized(s.Max)}, []any{sized(s.Max + 1)}, "have length less than or equal to %d", s.Max)
}

func TestEveryOperationOfTheModelIsServed(t *testing.T) {
	t.Parallel()
	var known []string
	for _, o := range kvsmodel.Operations {
		known = append(known, o.Name)
		if got := kvsmodel.ByPath(o.Path); got != o.Name {
			t.Errorf("the path %s is that of %q, want %s", o.Path, got, o.Name)
		}
	}
	slices.Sort(known)
	if served := kvs.Operations(); !slices.Equal(served, known) {
		t.Errorf("served %v, want %v", served, known)
	}
}

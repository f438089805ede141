package streamfile

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// addRepeated adds a fault for each member that an object has twice: some readers of JSON take the first one, others the last.
// Members of the file that have no effect are passed over. What is not JSON has no such faults.
func (w *wrong) addRepeated(data []byte) {
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if len(*w) >= mostShown || !json.Valid(data) {
		return
	}
	r := repeated{wrong: w, tokens: json.NewDecoder(bytes.NewReader(data))}
	r.value("")
}

// repeated goes through a document, as deep as that is: objectOf refuses what is too deep for encoding/json.
type repeated struct {
	*wrong
	tokens *json.Decoder
}

// value goes through the value at a path.
func (r *repeated) value(path string) {
	token, err := r.tokens.Token()
	if err != nil {
		return
	}
	switch token {
	case json.Delim('{'):
		r.object(path)
	case json.Delim('['):
		for r.tokens.More() {
			r.value(path)
		}
		_, _ = r.tokens.Token() // the text is JSON, so it ends here
	}
}

// object goes through the members of an object. Within an edge configuration names that differ only in capital letters are the
// same member.
func (r *repeated) object(path string) {
	seen := make(map[string]bool)
	for r.tokens.More() {
		token, err := r.tokens.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return
		}
		if path == "" && withoutEffect(name) {
			var passed json.RawMessage
			_ = r.tokens.Decode(&passed) // the text is JSON
			continue
		}
		key, member := name, name
		if !slices.Contains(desired.TagNames(), name) {
			member = edgeconfig.ShownName(name)
		}
		if path != "" {
			member = path + "." + member
		}
		if strings.HasPrefix(member, memberConfig+".") {
			key = strings.ToLower(name)
		}
		said := func(f edgeconfig.FieldFault) bool { return f.Path == member }
		if seen[key] && len(*r.wrong) < mostShown && !slices.ContainsFunc(*r.wrong, said) {
			r.add(member, "", "occurs twice, and must occur once")
		}
		seen[key] = true
		r.value(member)
	}
	_, _ = r.tokens.Token() // the text is JSON, so it ends here
}

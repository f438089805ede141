package cloudwatch

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
)

// shapeNames are the names that errors of CloudWatch have in CBOR and JSON, where they differ from
// those of the query protocol.
var shapeNames = map[string]string{
	"MissingParameter":            "MissingRequiredParameterException",
	"InvalidParameterValue":       "InvalidParameterValueException",
	"InvalidParameterCombination": "InvalidParameterCombinationException",
	"InvalidFormat":               "InvalidFormatFault",
	"AccessDenied":                "AccessDeniedException",
	"InvalidAction":               "UnknownOperationException",
}

func protocolOf(r *http.Request) awsapi.Protocol {
	switch {
	case strings.HasPrefix(r.URL.Path, PathPrefix):
		return shaped(awsapi.CBOR)
	case r.Header.Get("X-Amz-Target") != "":
		return shaped(awsapi.JSON10)
	default:
		return awsapi.Query(xmlNamespace)
	}
}

// shaped has errors named by their shape, with the name of the query protocol in a header.
// Source: Smithy, AWS query protocol migration (awsQueryCompatible).
func shaped(w awsapi.Protocol) awsapi.Protocol {
	return awsapi.Protocol{ContentType: w.ContentType, Refuse: func(h http.Header, e *awsapi.Error, id string) []byte {
		named := *e
		named.Name = cmp.Or(shapeNames[e.Name], e.Name)
		h.Set("x-amzn-query-error", cmp.Or(awsapi.QueryNames[e.Name], e.Name)+";Sender")
		return w.Refuse(h, &named, id)
	}}
}

// decode decodes a request of any of the protocols.
func decode(r *http.Request, body []byte) (tree, error) {
	body, err := plain(r.Header.Get("Content-Encoding"), body)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(r.URL.Path, PathPrefix):
		if r.Header.Get("Smithy-Protocol") != awsapi.RPCCBOR {
			return nil, errorf("SerializationException", "header smithy-protocol", "the header smithy-protocol must be %s", awsapi.RPCCBOR)
		}
		return treeOfCBOR(body)
	case r.Header.Get("X-Amz-Target") != "":
		var in tree
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, errorf("SerializationException", "body", "%s", awsapi.JSONFault(err))
		}
		return withoutNulls(in), nil
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errorf("MalformedQueryString", "body", "The query string is malformed.")
		}
		return treeOfForm(form), nil
	}
}

// plain undoes the compression that SDKs apply to great requests.
func plain(encoding string, body []byte) ([]byte, error) {
	if encoding != "gzip" {
		return body, nil
	}
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(unzip, 8*awsapi.MaxBody+1))
	}
	switch {
	case err != nil:
		return nil, errorf("SerializationException", "body", "the body is not complete gzip")
	case len(body) > 8*awsapi.MaxBody:
		return nil, awsapi.Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "",
			"The body has more than %d bytes without its compression.", 8*awsapi.MaxBody)
	}
	return body, nil
}

// withoutNulls drops members that are null: they stand for nothing.
func withoutNulls(in tree) tree {
	maps.DeleteFunc(in, func(_ string, v any) bool { return v == nil })
	for _, v := range in {
		switch v := v.(type) {
		case tree:
			withoutNulls(v)
		case []any:
			for _, member := range v {
				if member, ok := member.(tree); ok {
					withoutNulls(member)
				}
			}
		}
	}
	return in
}

func treeOfCBOR(body []byte) (tree, error) {
	if len(body) == 0 {
		return tree{}, nil
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, errorf("SerializationException", "body", "the body is not CBOR")
	}
	in, ok := fromCBOR(value).(tree)
	if !ok {
		return nil, errorf("SerializationException", "body", "the body is not a map in CBOR")
	}
	return withoutNulls(in), nil
}

func fromCBOR(value cbor.Value) any {
	switch v := value.(type) {
	case cbor.Map:
		out := make(tree, len(v))
		for name, member := range v {
			out[name] = fromCBOR(member)
		}
		return out
	case cbor.List:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = fromCBOR(member)
		}
		return out
	case cbor.String:
		return string(v)
	case cbor.Bool:
		return bool(v)
	case *cbor.Tag:
		if t, err := cbor.AsTime(v); err == nil {
			return t
		}
	case cbor.Uint, cbor.NegInt, cbor.Float32, cbor.Float64:
		if number, err := cbor.AsFloat64(v); err == nil {
			return number
		}
	}
	return nil
}

// treeOfForm reads names such as MetricData.member.1.MetricName. What follows "member" counts the
// members of a list; only their order matters.
func treeOfForm(form url.Values) tree {
	root := tree{}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		at := root
		parts := strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(tree)
			if !ok {
				next = tree{}
				at[part] = next
			}
			at = next
		}
		if _, taken := at[parts[len(parts)-1]]; !taken {
			at[parts[len(parts)-1]] = form.Get(name)
		}
	}
	out, _ := listed(root).(tree)
	return out
}

// listed makes lists of the trees that have only the member "member".
func listed(v any) any {
	in, ok := v.(tree)
	if !ok {
		return v
	}
	for name, member := range in {
		in[name] = listed(member)
	}
	members, ok := in["member"].(tree)
	if !ok || len(in) != 1 {
		return in
	}
	number := func(name string) int { n, _ := strconv.Atoi(name); return n }
	names := slices.SortedFunc(maps.Keys(members), func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a), number(b)), strings.Compare(a, b))
	})
	out := make([]any, len(names))
	for i, name := range names {
		out[i] = members[name]
	}
	return out
}

// encode encodes an answer in the protocol of its request.
func encode(r *http.Request, operation string, out tree) ([]byte, error) {
	switch {
	case strings.HasPrefix(r.URL.Path, PathPrefix):
		return cbor.Encode(toCBOR(out)), nil
	case r.Header.Get("X-Amz-Target") != "":
		return json.Marshal(toJSON(out))
	default:
		return queryAnswer(operation, calls.Of(r.Context()).ID, out)
	}
}

func toCBOR(v any) cbor.Value {
	switch v := v.(type) {
	case tree:
		out := make(cbor.Map, len(v))
		for name, member := range v {
			out[name] = toCBOR(member)
		}
		return out
	case []any:
		out := make(cbor.List, len(v))
		for i, member := range v {
			out[i] = toCBOR(member)
		}
		return out
	case time.Time:
		return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(v.UnixMilli()) / 1000)}
	case float64:
		return cbor.Float64(v)
	case string:
		return cbor.String(v)
	default:
		return &cbor.Nil{}
	}
}

func toJSON(v any) any {
	switch v := v.(type) {
	case tree:
		out := make(tree, len(v))
		for name, member := range v {
			out[name] = toJSON(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = toJSON(member)
		}
		return out
	case time.Time:
		return float64(v.UnixMilli()) / 1000
	default:
		return v
	}
}

// queryAnswer is the XML of the query protocol. An operation without a result has no element for it.
func queryAnswer(operation, id string, out tree) ([]byte, error) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	answer := element(operation + "Response")
	answer.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: xmlNamespace}}
	errs := []error{e.EncodeToken(answer)}
	if len(out) > 0 {
		errs = append(errs, writeXML(e, operation+"Result", out))
	}
	errs = append(errs, writeXML(e, "ResponseMetadata", tree{"RequestId": id}), e.EncodeToken(answer.End()), e.Flush())
	return b.Bytes(), firstOf(errs)
}

func element(name string) xml.StartElement { return xml.StartElement{Name: xml.Name{Local: name}} }

func writeXML(e *xml.Encoder, name string, v any) error {
	start := element(name)
	errs := []error{e.EncodeToken(start)}
	switch v := v.(type) {
	case tree:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			errs = append(errs, writeXML(e, member, v[member]))
		}
	case []any:
		for _, member := range v {
			errs = append(errs, writeXML(e, "member", member))
		}
	case time.Time:
		errs = append(errs, e.EncodeToken(xml.CharData(v.UTC().Format("2006-01-02T15:04:05.000Z"))))
	case float64:
		errs = append(errs, e.EncodeToken(xml.CharData(strconv.FormatFloat(v, 'g', -1, 64))))
	case string:
		errs = append(errs, e.EncodeToken(xml.CharData(v)))
	}
	return firstOf(append(errs, e.EncodeToken(start.End())))
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

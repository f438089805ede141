package localcloud

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// wire is how a request is spoken: the type of the answers, and the shape of errors.
type wire struct {
	contentType string
	// refuse renders an error; id is that of the request.
	refuse func(h http.Header, e *media.HTTPError, id string) []byte
}

const (
	typeJSON10 = "application/x-amz-json-1.0"
	typeJSON11 = "application/x-amz-json-1.1"
	typeCBOR   = "application/cbor"
	typeForm   = "application/x-www-form-urlencoded"
)

// errorType is the header with the name of an error. Go would write it in another case.
const errorType = "x-amzn-ErrorType"

var (
	// wireREST is rest-json as Kinesis Video Streams has it.
	wireREST = wire{"application/json", func(h http.Header, e *media.HTTPError, _ string) []byte {
		nameError(h, e.Name)
		return jsonText(map[string]string{"Message": e.Message})
	}}
	// wireIoT is rest-json as AWS IoT has it.
	wireIoT = wire{"application/json", func(h http.Header, e *media.HTTPError, id string) []byte {
		nameError(h, e.Name)
		return jsonText(map[string]string{"message": e.Message, "traceId": id})
	}}
	wireJSON10 = wire{typeJSON10, jsonError}
	wireJSON11 = wire{typeJSON11, jsonError}
	wireCBOR   = wire{typeCBOR, func(h http.Header, e *media.HTTPError, _ string) []byte {
		h.Set("smithy-protocol", rpcCBOR)
		return cbor.Encode(cbor.Map{"__type": cbor.String(e.Name), "message": cbor.String(e.Message)})
	}}
	// wireUnknown is for services of which only the name is known: every JSON client reads it.
	wireUnknown = wire{"application/json", func(h http.Header, e *media.HTTPError, _ string) []byte {
		nameError(h, e.Name)
		return jsonText(map[string]string{"__type": e.Name, "message": e.Message})
	}}
)

// nameError sets x-amzn-ErrorType. Some denials have none.
func nameError(h http.Header, name string) {
	if name != "" {
		h.Set(errorType, name)
	}
}

func jsonError(_ http.Header, e *media.HTTPError, _ string) []byte {
	return jsonText(map[string]string{"__type": e.Name, "Message": e.Message})
}

func jsonText(v any) []byte {
	text, _ := json.Marshal(v) // maps of strings always marshal
	return text
}

// queryNames are the names that query services have for what is wrong with a signature.
var queryNames = map[string]string{
	missingToken:     "MissingAuthenticationToken",
	incomplete:       "IncompleteSignature",
	unknownKey:       "InvalidClientTokenId",
	expiredToken:     "ExpiredToken",
	invalidSignature: "SignatureDoesNotMatch",
}

// wireQuery is AWS query, with the XML namespace of its service.
func wireQuery(namespace string) wire {
	return wire{"text/xml", func(_ http.Header, e *media.HTTPError, id string) []byte {
		kind := "Sender"
		if e.Status >= http.StatusInternalServerError {
			kind = "Receiver"
		}
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"ErrorResponse"`
			Namespace string   `xml:"xmlns,attr,omitempty"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}{Namespace: namespace, Type: kind, Code: cmp.Or(queryNames[e.Name], e.Name), Message: e.Message, RequestID: id})
		return body
	}}
}

// wireEC2 and wireS3 are the two XML shapes that only those services have.
var (
	wireEC2 = wire{"text/xml", func(_ http.Header, e *media.HTTPError, id string) []byte {
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"Response"`
			Code      string   `xml:"Errors>Error>Code"`
			Message   string   `xml:"Errors>Error>Message"`
			RequestID string   `xml:"RequestID"`
		}{Code: e.Name, Message: e.Message, RequestID: id})
		return body
	}}
	wireS3 = wire{"application/xml", func(_ http.Header, e *media.HTTPError, id string) []byte {
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"Error"`
			Code      string   `xml:"Code"`
			Message   string   `xml:"Message"`
			RequestID string   `xml:"RequestId"`
		}{Code: e.Name, Message: e.Message, RequestID: id})
		return body
	}}
)

// wireOfStranger chooses the shape that the client of a service that is not here reads: first by
// what the protocol puts into a request, then by the few services whose protocol leaves no sign.
func wireOfStranger(name string, r *http.Request) wire {
	kind := r.Header.Get("Content-Type")
	switch {
	case r.Header.Get("smithy-protocol") == rpcCBOR:
		return wireCBOR
	case r.Header.Get("X-Amz-Target") != "" && strings.HasPrefix(kind, typeJSON10):
		return wireJSON10
	case r.Header.Get("X-Amz-Target") != "":
		return wireJSON11
	case name == "ec2":
		return wireEC2
	case name == "s3" || name == "s3express" || name == "s3-outposts":
		return wireS3
	case strings.HasPrefix(kind, typeForm), name == "route53", name == "cloudfront":
		return wireQuery("")
	default:
		return wireUnknown
	}
}

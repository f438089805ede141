package awsapi

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Protocol is how a request is spoken: the type of the answers, and the shape of errors.
type Protocol struct {
	ContentType string
	// Refuse renders an error; id is that of the request.
	Refuse func(h http.Header, e *Error, id string) []byte
}

// The types of bodies.
const (
	TypeJSON10 = "application/x-amz-json-1.0"
	TypeJSON11 = "application/x-amz-json-1.1"
	typeCBOR   = "application/cbor"
	TypeForm   = "application/x-www-form-urlencoded"
)

// RPCCBOR is the value of the header smithy-protocol in Smithy RPC v2 CBOR.
const RPCCBOR = "rpc-v2-cbor"

// errorType is the header with the name of an error. Go would write it in another case.
const errorType = "x-amzn-ErrorType"

// The protocols.
var (
	// REST is rest-json as Kinesis Video Streams has it.
	REST = Protocol{"application/json", func(h http.Header, e *Error, _ string) []byte {
		nameError(h, e.Name)
		return JSONText(map[string]string{"Message": e.Message})
	}}
	// IoTREST is rest-json as AWS IoT has it.
	IoTREST = Protocol{"application/json", func(h http.Header, e *Error, id string) []byte {
		nameError(h, e.Name)
		return JSONText(map[string]string{"message": e.Message, "traceId": id})
	}}
	// ModelREST is rest-json as newer services have it: errors have the members of the service model.
	ModelREST = Protocol{"application/json", func(h http.Header, e *Error, _ string) []byte {
		nameError(h, e.Name)
		members := map[string]string{"message": e.Message}
		maps.Copy(members, e.Members)
		return JSONText(members)
	}}
	JSON10 = Protocol{TypeJSON10, jsonError}
	JSON11 = Protocol{TypeJSON11, jsonError}
	CBOR   = Protocol{typeCBOR, func(h http.Header, e *Error, _ string) []byte {
		h.Set("smithy-protocol", RPCCBOR)
		return cbor.Encode(cbor.Map{"__type": cbor.String(e.Name), "message": cbor.String(e.Message)})
	}}
	// unknown is for services of which only the name is known: every JSON client reads it.
	unknown = Protocol{"application/json", func(h http.Header, e *Error, _ string) []byte {
		nameError(h, e.Name)
		return JSONText(map[string]string{"__type": e.Name, "message": e.Message})
	}}
)

// nameError sets x-amzn-ErrorType. Some denials have none.
func nameError(h http.Header, name string) {
	if name != "" {
		h.Set(errorType, name)
	}
}

func jsonError(_ http.Header, e *Error, _ string) []byte {
	return JSONText(map[string]string{"__type": e.Name, "Message": e.Message})
}

// JSONText renders a map of strings.
func JSONText(v any) []byte {
	text, _ := json.Marshal(v) // maps of strings always marshal
	return text
}

// QueryNames are the names that query services have for what is wrong with a signature.
var QueryNames = map[string]string{
	MissingToken:        "MissingAuthenticationToken",
	IncompleteSignature: "IncompleteSignature",
	UnknownKey:          "InvalidClientTokenId",
	ExpiredToken:        "ExpiredToken",
	InvalidSignature:    "SignatureDoesNotMatch",
}

// Query is AWS query, with the XML namespace of its service.
func Query(namespace string) Protocol {
	return Protocol{"text/xml", func(_ http.Header, e *Error, id string) []byte {
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
		}{Namespace: namespace, Type: kind, Code: cmp.Or(QueryNames[e.Name], e.Name), Message: e.Message, RequestID: id})
		return body
	}}
}

// ec2 and s3 are the two XML shapes that only those services have.
var (
	ec2 = Protocol{"text/xml", func(_ http.Header, e *Error, id string) []byte {
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"Response"`
			Code      string   `xml:"Errors>Error>Code"`
			Message   string   `xml:"Errors>Error>Message"`
			RequestID string   `xml:"RequestID"`
		}{Code: e.Name, Message: e.Message, RequestID: id})
		return body
	}}
	s3 = Protocol{"application/xml", func(_ http.Header, e *Error, id string) []byte {
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"Error"`
			Code      string   `xml:"Code"`
			Message   string   `xml:"Message"`
			RequestID string   `xml:"RequestId"`
		}{Code: e.Name, Message: e.Message, RequestID: id})
		return body
	}}
)

// OfStranger chooses the shape that the client of a service that is not here reads: first by
// what the protocol puts into a request, then by the few services whose protocol leaves no sign.
func OfStranger(name string, r *http.Request) Protocol {
	kind := r.Header.Get("Content-Type")
	switch {
	case r.Header.Get("smithy-protocol") == RPCCBOR:
		return CBOR
	case r.Header.Get("X-Amz-Target") != "" && strings.HasPrefix(kind, TypeJSON10):
		return JSON10
	case r.Header.Get("X-Amz-Target") != "":
		return JSON11
	case name == "ec2":
		return ec2
	case name == "s3" || name == "s3express" || name == "s3-outposts":
		return s3
	case strings.HasPrefix(kind, TypeForm), name == "route53", name == "cloudfront":
		return Query("")
	default:
		return unknown
	}
}

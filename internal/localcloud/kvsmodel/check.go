package kvsmodel

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// ErrorFor is the name of the error that the operation answers to the faults: the one that it
// declares for that rule, and otherwise InvalidArgumentException, which all operations declare.
func (o *Operation) ErrorFor(e *apimodel.Invalid) string {
	name := ""
	for _, f := range e.Faults {
		next := InvalidArgument
		switch {
		case f.Path == "Tags" && f.Rule == apimodel.MaxSize && o.Declares(TagsExceeded):
			next = TagsExceeded
		case f.Path == "StreamARN" && f.Rule == apimodel.Matches && o.Declares(InvalidResourceFormat):
			next = InvalidResourceFormat
		}
		if name != "" && name != next {
			return InvalidArgument
		}
		name = next
	}
	return name
}

// Read checks the body of a request, as apimodel.Read does.
func (o *Operation) Read(body []byte) (known []byte, ignored []string, err error) {
	return apimodel.Read(o.Members, body)
}

// Refusal is the answer to a request that does not have the shape of the operation: to what Read returns.
func (o *Operation) Refusal(err error) error {
	var malformed *apimodel.Malformed
	if errors.As(err, &malformed) {
		return awsapi.Errorf(http.StatusBadRequest, "SerializationException", cmp.Or(malformed.Path, "body"), "%s", malformed)
	}
	var invalid *apimodel.Invalid
	if errors.As(err, &invalid) {
		return awsapi.Errorf(http.StatusBadRequest, o.ErrorFor(invalid), invalid.Faults[0].Path, "%s", invalid)
	}
	return err
}

// Decode checks the body of a request about one stream, and reads what it holds. The error is the answer to it.
func (o *Operation) Decode(body []byte, into any) error {
	known, _, err := o.Read(body)
	if err != nil {
		return o.Refusal(err)
	}
	var of struct{ StreamName, StreamARN string }
	if err := errors.Join(json.Unmarshal(known, into), json.Unmarshal(known, &of)); err != nil {
		return awsapi.Errorf(http.StatusBadRequest, InvalidArgument, "body", "%s", err)
	}
	if (of.StreamName == "") == (of.StreamARN == "") {
		return awsapi.Errorf(http.StatusBadRequest, InvalidArgument, "member StreamName",
			"exactly one of StreamName and StreamARN must be given")
	}
	return nil
}

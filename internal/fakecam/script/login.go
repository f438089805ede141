package script

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"regexp"
	"strings"
)

// digestField is NAME=VALUE or NAME="VALUE" in an Authorization header.
var digestField = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^",\s]*))`)

// loggedIn reports whether a request has the right user name and password, by Basic or Digest (RFC 7617 and 7616), for any nonce.
func loggedIn(r Request, user, password string) bool {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		return err == nil && same(string(got), user+":"+password)
	case "digest":
		fields := make(map[string]string)
		for _, m := range digestField.FindAllStringSubmatch(rest, -1) {
			fields[strings.ToLower(m[1])] = m[2] + m[3]
		}
		return fields["username"] == user && fields["uri"] == r.URL && same(fields["response"], digest(fields, r.Method, password))
	}
	return false
}

// digest returns the correct response of an Authorization header.
func digest(fields map[string]string, method, password string) string {
	algorithm := md5.New
	if strings.HasPrefix(strings.ToUpper(fields["algorithm"]), "SHA-256") {
		algorithm = sha256.New
	}
	sum := func(parts ...string) string { return sumOf(algorithm(), parts) }
	secret := sum(fields["username"], fields["realm"], password)
	if strings.HasSuffix(strings.ToLower(fields["algorithm"]), "-sess") {
		secret = sum(secret, fields["nonce"], fields["cnonce"])
	}
	request := sum(method, fields["uri"])
	if qop := fields["qop"]; qop != "" {
		return sum(secret, fields["nonce"], fields["nc"], fields["cnonce"], qop, request)
	}
	return sum(secret, fields["nonce"], request)
}

func sumOf(h hash.Hash, parts []string) string {
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

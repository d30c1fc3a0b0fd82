package api

import (
	"net/http"

	"github.com/warrenvpn/warren/system/fault"
)

// statuses maps every code to its HTTP status.
var statuses = map[fault.Code]int{
	fault.CodeInvalid:   http.StatusBadRequest,
	fault.CodeDenied:    http.StatusForbidden,
	fault.CodeNoContext: http.StatusNotFound,
	fault.CodeNoFile:    http.StatusNotFound,
	fault.CodeNoRoute:   http.StatusNotFound,
	fault.CodeNoMethod:  http.StatusMethodNotAllowed,
	fault.CodeRefused:   http.StatusConflict,
	fault.CodeNotReady:  http.StatusServiceUnavailable,
	fault.CodeInternal:  http.StatusInternalServerError,
}

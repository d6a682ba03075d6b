"""What servers that speak XML answer."""

from __future__ import annotations

from tests.support.upstream import Seen

_WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:tns="urn:stock" targetNamespace="urn:stock">
  <types><xsd:schema targetNamespace="urn:stock" elementFormDefault="qualified">
    <xsd:element name="Count" type="xsd:string"/><xsd:element name="Counted" type="xsd:int"/>
  </xsd:schema></types>
  <message name="In"><part name="body" element="tns:Count"/></message>
  <message name="Out"><part name="body" element="tns:Counted"/></message>
  <portType name="Port">
    <operation name="Count"><input message="tns:In"/><output message="tns:Out"/></operation>
  </portType>
  <binding name="Binding" type="tns:Port">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Count"><soap:operation soapAction="count"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
  </binding>
  <service name="Stock">
    <port name="Port" binding="tns:Binding"><soap:address location="https://stock.example.com/service"/></port>
  </service>
</definitions>"""
_COUNTED = """<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
  <Counted xmlns="urn:stock">7</Counted></e:Body></e:Envelope>"""


def soap(seen: Seen) -> bytes:
    """Describe the service that counts, or count."""
    return (_COUNTED if seen.method == "POST" else _WSDL).encode()


def dav(seen: Seen) -> bytes:
    """Answer a PROPFIND for the principal, for where the calendars are, or for these."""
    found = "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><d:displayname>Work</d:displayname>"
    for name in ("current-user-principal", "calendar-home-set"):
        if name.encode() in seen.body:
            space = "d" if name == "current-user-principal" else "c"
            found = f"<{space}:{name}><d:href>/dav/bob/</d:href></{space}:{name}>"
    return f"""<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">
      <d:response><d:href>/dav/bob/work/</d:href>
        <d:propstat><d:prop>{found}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
      </d:response></d:multistatus>""".encode()


WORKBOOKS = b"""<tsResponse xmlns="http://tableau.com/api">
  <pagination pageNumber="1" pageSize="100" totalAvailable="1"/>
  <workbooks><workbook id="1" name="Orders" contentUrl="o"><tags/></workbook></workbooks></tsResponse>"""

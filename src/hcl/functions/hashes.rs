//! Hashes and UUIDs.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::hcl::functions::registry::{Fault, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::value::{Type, Value};

pub fn register(table: &mut Table) {
    use Type::String;
    table.add("md5", &[String], |args| Ok(Value::from(hex(&Md5::digest(text(args, 0)?)))));
    table.add("sha1", &[String], |args| Ok(Value::from(hex(&Sha1::digest(text(args, 0)?)))));
    table.add("sha256", &[String], |args| Ok(Value::from(hex(&Sha256::digest(text(args, 0)?)))));
    table.add("sha512", &[String], |args| Ok(Value::from(hex(&Sha512::digest(text(args, 0)?)))));
    table.add("uuidv4", &[], |_| Ok(Value::from(uuid::Uuid::new_v4().to_string())));
    table.add("uuidv5", &[String, String], |args| {
        let space = match text(args, 0)? {
            "dns" => uuid::Uuid::NAMESPACE_DNS,
            "url" => uuid::Uuid::NAMESPACE_URL,
            "oid" => uuid::Uuid::NAMESPACE_OID,
            "x500" => uuid::Uuid::NAMESPACE_X500,
            other => uuid::Uuid::parse_str(other)
                .map_err(|_| Fault::at(0, "a namespace is dns, url, oid, x500 or a UUID"))?,
        };
        let mut hash = Sha1::new();
        hash.update(space.as_bytes());
        hash.update(text(args, 1)?);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Ok(Value::from(uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string()))
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

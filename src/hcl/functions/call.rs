//! The call of a function: its arguments, and the three that see expressions instead of values.

use crate::base::{Diagnostic, Span, text};
use crate::hcl::eval::{Env, Evaluated, evaluate, type_of};
use crate::hcl::functions::registry::{Body, Fault, Function};
use crate::hcl::tree::{Expr, Ident};
use crate::hcl::value::{Type, TypeRules, Value, convert, unify};

pub fn call(name: &Ident, args: &[Expr], expand: bool, span: &Span, env: &Env<'_>) -> Evaluated {
    let Some(function) = env.scope.functions().get(&name.text) else {
        return Err(unknown(name, env));
    };
    match &function.body {
        Body::Try | Body::Can | Body::Convert if expand => {
            let Some((mut values, _)) = arguments(name, function, args, true, span, env)? else {
                return Ok(Value::Unknown);
            };
            match (&function.body, values.len()) {
                // What is spread has values.
                (Body::Try, 1..) => Ok(values.swap_remove(0)),
                (Body::Can, 1) => Ok(Value::Bool(true)),
                _ => {
                    let error = format!("`{}` can't be given so many arguments by `...`", name.text);
                    Err(Diagnostic::error(error).at(span))
                }
            }
        }
        Body::Try => try_each(args, span, env),
        Body::Can => can(args, span, env),
        Body::Convert => converted(args, span, env),
        Body::Plain(body) => {
            let Some((mut values, spans)) = arguments(name, function, args, expand, span, env)? else {
                return Ok(Value::Unknown);
            };
            if !expand {
                typed(name, args, &mut values, span, env)?;
            }
            body(&values).map_err(|fault| blamed(&fault, name, &spans, span))
        }
    }
}

fn unknown(name: &Ident, env: &Env<'_>) -> Diagnostic {
    let functions = env.scope.functions();
    let error = Diagnostic::error(format!("there is no function `{}` here", name.text)).at(&name.span);
    match text::nearest(&name.text, functions.names()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if functions.names().next().is_none() => error.help("only constants can stand here"),
        None => error,
    }
}

fn blamed(fault: &Fault, name: &Ident, spans: &[Span], span: &Span) -> Diagnostic {
    let place = fault.argument.and_then(|i| spans.get(i)).unwrap_or(span);
    Diagnostic::error(format!("`{}`: {}", name.text, fault.message)).at(place)
}

/// For functions that ask for the type of a null, too.
fn typed(
    name: &Ident,
    args: &[Expr],
    values: &mut [Value],
    span: &Span,
    env: &Env<'_>,
) -> Result<(), Diagnostic> {
    let types = || args.iter().zip(values.iter()).map(|(arg, value)| type_of(arg, value, env));
    match name.text.as_str() {
        "coalesce" => {
            let types: Vec<Type> = types().collect();
            let Some(of) = unify(&types) else {
                let error = "`coalesce`: the arguments must be of one type";
                return Err(Diagnostic::error(error).at(span));
            };
            for (value, arg) in values.iter_mut().zip(args) {
                *value = convert(value, &of)
                    .map_err(|error| Diagnostic::error(format!("`coalesce`: {error}")).at(&arg.span))?;
            }
        }
        "coalescelist" => {
            if let Some(at) = types().position(|of| !matches!(of, Type::List(_) | Type::Tuple(_))) {
                let error = format!("`coalescelist`: a list is needed, not {}", values[at].described());
                return Err(Diagnostic::error(error).at(&args[at].span));
            }
        }
        _ => {}
    }
    Ok(())
}

fn can(args: &[Expr], span: &Span, env: &Env<'_>) -> Evaluated {
    let [arg] = args else {
        return Err(Diagnostic::error("`can` takes one argument").at(span));
    };
    Ok(Value::Bool(evaluate(arg, env).is_ok()))
}

fn converted(args: &[Expr], span: &Span, env: &Env<'_>) -> Evaluated {
    let [arg, of] = args else {
        return Err(Diagnostic::error("`convert` takes a value and a type").at(span));
    };
    let of = Type::read(of, TypeRules::Any)?;
    convert(&evaluate(arg, env)?, &of).map_err(|error| Diagnostic::error(error).at(&arg.span))
}

fn try_each(args: &[Expr], span: &Span, env: &Env<'_>) -> Evaluated {
    let mut errors = Vec::new();
    for arg in args {
        match evaluate(arg, env) {
            Ok(value) => return Ok(value),
            Err(error) => errors.push(error.message),
        }
    }
    if errors.is_empty() {
        return Err(Diagnostic::error("`try` needs an argument").at(span));
    }
    Err(Diagnostic::error("no argument of `try` has a value").at(span).help(errors.join("; ")))
}

type Arguments = Option<(Vec<Value>, Vec<Span>)>;

/// The values of the arguments, converted; `None` where one is unknown and the function wants it known.
fn arguments(
    name: &Ident,
    function: &Function,
    args: &[Expr],
    expand: bool,
    span: &Span,
    env: &Env<'_>,
) -> Result<Arguments, Diagnostic> {
    let mut values = Vec::with_capacity(args.len());
    let mut spans = Vec::with_capacity(args.len());
    for (i, arg) in args.iter().enumerate() {
        let value = evaluate(arg, env)?;
        if !(expand && i + 1 == args.len()) {
            values.push(value);
            spans.push(arg.span.clone());
            continue;
        }
        match value {
            Value::Unknown => return Ok(None),
            Value::List(items) | Value::Set(items) | Value::Tuple(items) => {
                env.spend(items.len(), &arg.span)?;
                spans.extend(items.iter().map(|_| arg.span.clone()));
                values.extend(items);
            }
            other => {
                let error = format!("`...` needs a list, not {}", other.described());
                return Err(Diagnostic::error(error).at(&arg.span));
            }
        }
    }
    let least = function.parameters.len();
    if values.len() < least || (function.more.is_none() && values.len() > least) {
        let wanted = text::count(least, "argument");
        let wanted = if function.more.is_some() { format!("at least {wanted}") } else { wanted };
        let error = format!("`{}` takes {wanted}, not {}", name.text, values.len());
        return Err(Diagnostic::error(error).at(span));
    }
    let mut known = true;
    for (i, value) in values.iter_mut().enumerate() {
        let place = &spans[i];
        if value.is_null() && !function.nulls {
            return Err(Diagnostic::error(format!("`{}`: an argument can't be null", name.text)).at(place));
        }
        if let Some(to) = function.parameters.get(i).or(function.more.as_ref())
            && *to != Type::Any
        {
            *value = convert(value, to)
                .map_err(|error| Diagnostic::error(format!("`{}`: {error}", name.text)).at(place))?;
        }
        known &= value.is_wholly_known();
    }
    if !known && !function.unknowns {
        return Ok(None);
    }
    env.spend(values.iter().map(Value::weight).sum(), span)?;
    Ok(Some((values, spans)))
}
